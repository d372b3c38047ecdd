package fetch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseNetrc(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []Machine
		wantErr  string
	}{
		{"one line", "machine h login u password p", []Machine{{"h", "u", "p"}}, ""},
		{"many lines, port, comment", "# mine\nmachine Git.Example:8443\n  login u\n  password #p\nmachine b password x\n", []Machine{{"git.example:8443", "u", "#p"}, {"b", "", "x"}}, ""},
		{"quoted", `machine h login "a b" password "x\"y\\z"`, []Machine{{"h", "a b", `x"y\z`}}, ""},
		{"default and account", "machine h login u account a password p default login d password e", []Machine{{"h", "u", "p"}, {"", "d", "e"}}, ""},
		{"macro", "machine h login u password p\nmacdef init\ncd /x\nmachine no\n\nmachine i login v password q", []Machine{{"h", "u", "p"}, {"i", "v", "q"}}, ""},
		{"empty", "", nil, ""},
		{"no value", "machine h login", nil, "line 1: login has no value"},
		{"open quote", "machine h\nlogin \"geheim\n", nil, "line 2: a quoted value does not end"},
		{"unknown word", "machine h\nlogin u\ngeheim x", nil, "line 3: want machine"},
		{"login first", "login u", nil, "line 1: login stands before the first machine"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseNetrc(strings.NewReader(tc.in))
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) || strings.Contains(err.Error(), "geheim") {
					t.Fatalf("got %v, want %q", err, tc.wantErr)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("(-want +got):\n%s%v", diff, err)
			}
		})
	}
}

func FuzzParseNetrc(f *testing.F) {
	for _, seed := range []string{
		"machine h login u password p", "default login \"a\\\"b\" password x", "macdef x\n\n", "# c\nmachine a:1\nlogin b", "\"", "machine \"\\", "machine a..", "machine [a].",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		machines, err := ParseNetrc(strings.NewReader(in))
		if err != nil {
			return
		}
		// What was read, written again with quotes, reads the same.
		var b strings.Builder
		quote := func(s string) string {
			if strings.Contains(s, "\n") {
				t.Skip("a line break came from outside of quotes: impossible to quote")
			}
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
		}
		for _, m := range machines {
			if m.Name == "" {
				b.WriteString("default")
			} else {
				fmt.Fprintf(&b, "machine %s", quote(m.Name))
			}
			fmt.Fprintf(&b, " login %s password %s\n", quote(m.Login), quote(m.Password))
		}
		again, err := ParseNetrc(strings.NewReader(b.String()))
		if diff := cmp.Diff(machines, again); diff != "" || err != nil {
			t.Errorf("%q: (-first +again):\n%s%v", in, diff, err)
		}
	})
}

func TestLookup(t *testing.T) {
	dir := t.TempDir()
	netrc, bearer := filepath.Join(dir, "netrc"), filepath.Join(dir, "tokens")
	for file, text := range map[string]string{
		netrc:  "machine a.example login u password geheim\nmachine a.example:8443 login v password geheim2\n",
		bearer: "# tokens\nB.example geheim3\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	creds, err := LoadCredentials(netrc, bearer)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := client(t, Settings{Credentials: creds})
	names := map[string]string{}
	for _, raw := range []string{
		"https://a.example/x", "https://A.example:443/y", "https://a.example:8443/x", "https://b.example/x", "https://c.example/x",
		"https://w:geheim@c.example/x", "https://w:geheim4@c.example/x",
	} {
		names[raw] = c.CredentialName(raw)
	}
	if got := c.CredentialName("https://git@a.example/x"); got != names["https://a.example/x"] {
		t.Errorf("the user git, left of an ssh URL, has the name %q", got)
	}
	if names["https://a.example/x"] != names["https://A.example:443/y"] {
		t.Errorf("the same entry has two names: %v", names)
	}
	delete(names, "https://A.example:443/y")
	seen := map[string]bool{}
	for raw, name := range names {
		if seen[name] {
			t.Errorf("%s: name %q is used twice", raw, name)
		}
		seen[name] = true
		if strings.Contains(name, "geheim") {
			t.Errorf("%s: name %q holds the secret", raw, name)
		}
		if (name == "") != (raw == "https://c.example/x") {
			t.Errorf("%s: got name %q", raw, name)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, creds) + fmt.Sprintf(verb, creds.Netrc); strings.Contains(text, "geheim") {
			t.Errorf("printed with %s, credentials show: %s", verb, text)
		}
	}
	if _, err := ParseBearerTokens(strings.NewReader("host geheim x")); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("three words: got %v", err)
	}
}
