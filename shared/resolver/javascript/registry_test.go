package javascript

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
)

func TestNewRegistry(t *testing.T) {
	got, err := NewRegistry(map[string]string{"registry": "https://r.example/npm/", "registry_hosts": `["Registry.npmjs.org"]`})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Registry{Base: "https://r.example/npm/", Hosts: []string{"registry.npmjs.org"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, values := range []map[string]string{
		{}, {"registry": "https://r.example"}, {"registry": "ftp://r.example/"}, {"registry": "/npm/"}, {"registry": "https://r.example/", "registry_hosts": "x"},
	} {
		if _, err := NewRegistry(values); err == nil {
			t.Errorf("%v is taken for good", values)
		}
	}
}

func TestMapped(t *testing.T) {
	const base = "https://registry.example/npm/"
	for source, want := range map[string]string{
		"https://registry.npmjs.org/a/-/a-1.0.0.tgz":                 base + "a/-/a-1.0.0.tgz",
		"https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#0123":          base + "a/-/a-1.0.0.tgz",
		"http://user:secret@registry.npmjs.org:80/a/-/a-1.tgz?x=1#y": base + "a/-/a-1.tgz",
		"https://registry.npmjs.org/a/-/odd-name.tgz":                base + "a/-/odd-name.tgz",
		"https://registry.npmjs.org/a/download/a-1.0.0.tgz":          base + "a/download/a-1.0.0.tgz",
		"https://registry.npmjs.org/a/-/a-1.0.0%2Bbuild.tgz":         base + "a/-/a-1.0.0%2Bbuild.tgz",
	} {
		got, err := public.Mapped("a", source)
		if got != want || err != nil {
			t.Errorf("%s: got %s (%v), want %s", source, got, err, want)
		}
	}
	for _, source := range []string{"https://registry.npmjs.org/@s/a/-/a-1.tgz", "https://registry.npmjs.org/@s%2fa/-/a-1.tgz"} {
		if _, err := public.Mapped("@s/a", source); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
	for _, path := range []string{"", "/", "/../../admin", "/a/-/../../../x.tgz", "/a//b", "/%2e%2e/%2e%2e/x", "/a/./x", "/a/-/x/"} {
		source := "https://registry.npmjs.org" + path
		_, err := public.Mapped("a", source)
		checkFault(t, err, fault.InvalidFileFormat, "The URL of the dependency a@"+source+" has a path that no registry has")
	}
	_, err := public.Mapped("a", "https://registry.npmjs.org/evil/-/evil-1.0.0.tgz")
	checkFault(t, err, fault.InvalidFileFormat, "The URL of the dependency a@https://registry.npmjs.org/evil/-/evil-1.0.0.tgz is that of another package, evil")
}

func TestTarball(t *testing.T) {
	for _, test := range [][3]string{
		{"a", "1.0.0", "a/-/a-1.0.0.tgz"},
		{"@types/ms", "0.7.34", "@types/ms/-/ms-0.7.34.tgz"},
		{"a", "1.0.0-rc.1+b", "a/-/a-1.0.0-rc.1+b.tgz"},
	} {
		if got := public.Tarball(test[0], test[1]); got != public.Base+test[2] {
			t.Errorf("%s %s: got %s, want %s", test[0], test[1], got, test[2])
		}
	}
}
