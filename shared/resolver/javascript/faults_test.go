package javascript

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/packages"
)

func TestParseIntegrity(t *testing.T) {
	sum := integrity.Digest{Algorithm: "sha1", Sum: "01234567890123456789"}
	weak := integrity.Digest{Algorithm: "md5", Sum: "0123456789012345"}
	for text, want := range map[string][]integrity.Digest{
		"": nil, " \n": nil, sum.SRI(): {sum}, sum.SRI() + "?opt " + weak.SRI(): {sum, weak}, "sha3-AAAA " + sum.SRI(): {sum},
	} {
		got, err := ParseIntegrity("a", "https://x.test/a.tgz", text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for text, message := range map[string]string{
		"sha3-AAAA":      "Cannot perform checksum on the file a.tgz, Hash algorithm sha3 is unknown.",
		"blake-A x-B":    "Cannot perform checksum on the file a.tgz, Hash algorithm blake is unknown.",
		"sha512":         `The dependency a@https://x.test/a.tgz has an invalid integrity value: integrity "sha512" is not of the form algorithm-base64`,
		"sha1-***":       `The dependency a@https://x.test/a.tgz has an invalid integrity value: integrity "sha1-***" is not base64`,
		"sha256-AAAA":    `The dependency a@https://x.test/a.tgz has an invalid integrity value: integrity "sha256-AAAA": sha256 digest has 3 bytes instead of 32`,
		"sha1-A= sha3-x": `The dependency a@https://x.test/a.tgz has an invalid integrity value: integrity "sha1-A=" is not base64`,
	} {
		_, err := ParseIntegrity("a", "https://x.test/a.tgz", text)
		checkFault(t, err, fault.InvalidChecksum, message)
	}
}

func TestMissingIntegrity(t *testing.T) {
	checkFault(t, MissingIntegrity("a", "https://x.test/a"), fault.InvalidFileFormat,
		`The dependency a@https://x.test/a is missing the integrity value. Is the "integrity" key missing in your lockfile?`)
}

func TestFetchFault(t *testing.T) {
	const source = "https://user:secret@x.test/a.tgz?token=1"
	one := integrity.Digest{Algorithm: "sha1", Sum: "\x01"}
	two := integrity.Digest{Algorithm: "sha1", Sum: "\x02"}
	err := FetchFault(fmt.Errorf("fetching: %w", fault.Client(fault.InvalidChecksum, "x").Because(&integrity.MismatchError{Want: []integrity.Digest{one, two}, Got: one})), "a.tgz", source)
	checkFault(t, err, fault.InvalidChecksum, "The file a.tgz has an unexpected checksum value, expected 01 or 02 but computed 01")

	gone := fault.Client(fault.NetworkError, "404 Not Found").Because(&fetch.StatusError{Code: 404})
	checkFault(t, FetchFault(gone, "a.tgz", source), fault.NetworkError, "Could not download a.tgz from https://x.test/a.tgz. exception_name: HTTPError, details: 404 Not Found")
	if gone.Message != "404 Not Found" {
		t.Error("the fault itself was changed")
	}
	down := FetchFault(fault.Server(fault.NetworkError, "the server cannot be reached"), "a.tgz", source)
	f := fault.From(down)
	if f.Origin != fault.OriginServer || f.Final || f.Message != "Could not download a.tgz from https://x.test/a.tgz. exception_name: ConnectionError, details: the server cannot be reached" {
		t.Errorf("got %+v, want a fault of the server that may pass", f)
	}
	large := fault.Client(fault.UnsupportedFeature, "too large")
	for _, err := range []error{nil, context.Canceled, errors.New("a bug"), large, fault.Client(fault.InvalidChecksum, "changed")} {
		if got := FetchFault(err, "a.tgz", source); !errors.Is(got, err) || (got == nil) != (err == nil) {
			t.Errorf("%v became %v", err, got)
		}
	}
}

func TestCloneFault(t *testing.T) {
	for _, test := range []struct{ source, shown string }{
		{"git+ssh://git@h/r#" + someCommit, "git+ssh://git@h/r#" + someCommit},
		{"github:ns/r#" + someCommit, "github:ns/r#" + someCommit},
		{"git+https://user:secret@h/r#" + someCommit, "git+https://xxxxx@h/r#" + someCommit},
	} {
		checkFault(t, CloneFault(fault.Client(fault.RepositoryAccessError, "x"), test.source), fault.RepositoryAccessError, "Failed to clone "+test.shown)
	}
	if f := fault.From(CloneFault(fault.Server(fault.RepositoryAccessError, "x"), "s")); f.Origin != fault.OriginServer || f.Final {
		t.Errorf("got %+v, want the origin as it was", f)
	}
	other := fault.Client(fault.InvalidRequestData, "no such commit")
	if got := CloneFault(other, "s"); got != error(other) {
		t.Errorf("got %v, want %v", got, other)
	}
}

func TestCheckDuplicates(t *testing.T) {
	v1, v2 := "1", "2"
	list := []packages.Package{
		{Name: "it's", Type: "npm", Version: &v1, Dependencies: []packages.Dependency{{Name: "z"}, {Name: "a"}}},
		{Name: "it's", Type: "npm", Version: &v2, Path: "sub"},
	}
	if err := checkDuplicates(list); err != nil {
		t.Error(err)
	}
	if list[0].Dependencies[0].Name != "z" {
		t.Error("the order of dependencies was changed")
	}
	checkFault(t, checkDuplicates(append(list, packages.Package{Name: "it's", Type: "npm", Version: &v1, Path: "x"})), fault.InvalidRequestData,
		`Duplicate package: {'name': "it's", 'version': '1', 'type': 'npm'}`)
}

func TestWithoutSecrets(t *testing.T) {
	for source, want := range map[string]string{
		"git+https://user:secret@h/r#" + someCommit: "git+https://xxxxx@h/r#" + someCommit,
		"git+ssh://user:se@cret@h:ns/r#x":           "git+ssh://xxxxx@h:ns/r#x",
		"https://user:se cret@h":                    "https://xxxxx@h",
		"https://:secret@h/\x7f":                    "https://xxxxx@h/\x7f",
		"github:user:secret@ns/r":                   "github:xxxxx@ns/r",
		"git+ssh://git@h/r":                         "git+ssh://git@h/r",
		"https://h/a:b@c":                           "https://h/a:b@c",
		"https://h?a:b@c":                           "https://h?a:b@c",
		"git@h:ns/r":                                "git@h:ns/r",
		"file:../a:b@c":                             "file:../a:b@c",
		"a@1.0.0":                                   "a@1.0.0",
		"":                                          "",
	} {
		if got := withoutSecrets(source); got != want {
			t.Errorf("%q: got %q, want %q", source, got, want)
		}
	}
}
