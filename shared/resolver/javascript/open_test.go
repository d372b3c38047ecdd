package javascript

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/packages"
)

func TestOpen(t *testing.T) {
	version := "1"
	pkg := func(dir string) packages.Package { return packages.Package{Name: dir, Type: "npm", Version: &version} }
	broken := errors.New("broken")
	open := func(_ context.Context, dir string) (string, error) {
		if dir == "bad" {
			return "", broken
		}
		return "opened " + dir, nil
	}
	got, err := Open(t.Context(), "npm", json.RawMessage(`[{"path": "a"}, {"path": "b"}, {"path": "a"}]`), open, pkg)
	if diff := cmp.Diff([]string{"opened a", "opened b"}, got); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s\n%v", diff, err)
	}
	if _, err := Open(t.Context(), "npm", json.RawMessage(`[{"path": "a"}, {"path": "bad"}]`), open, pkg); !errors.Is(err, broken) {
		t.Errorf("a path that cannot be opened: got %v", err)
	}
	same := func(string) packages.Package { return pkg("same") }
	if _, err := Open(t.Context(), "npm", json.RawMessage(`[{"path": "a"}, {"path": "b"}]`), open, same); !fault.IsClient(err) {
		t.Errorf("two packages of one name: got %v", err)
	}
	if _, err := Open(t.Context(), "npm", json.RawMessage(`{}`), open, pkg); !fault.IsClient(err) {
		t.Errorf("options that are none: got %v", err)
	}
}

func TestOptionPaths(t *testing.T) {
	for raw, want := range map[string][]string{
		``: {"."}, `null`: {"."}, `[]`: {"."}, `[{}]`: {"."}, `[{"path":""},{"path":"./a/../b/"}]`: {"b"},
		`[{"path":"a"},{"path":"."},{"path":"a/"}]`: {"a", "."},
	} {
		got, err := optionPaths("npm", []byte(raw))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
	}
	for _, raw := range []string{`[{"path":"../a"}]`, `[{"path":"/a"}]`, `[{"path":"a/../../b"}]`} {
		_, err := optionPaths("yarn", []byte(raw))
		checkFault(t, err, fault.ValidationError, `The "path" values in the "packages.yarn" value must be to a relative path in the source repository`)
	}
	_, err := optionPaths("npm", []byte(`{}`))
	checkFault(t, err, fault.ValidationError, `The value of "packages.npm" must be an array of objects with the following keys: path`)
}
