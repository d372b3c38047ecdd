package request_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/request"
)

// rules have managers that do not exist, so that nothing here depends on those that do.
func rules() request.Rules {
	return request.Rules{
		Managers: []request.Manager{
			{Name: "bricks", Flags: []string{"cgo-disable"}, Options: []request.Option{{Name: "path"}}},
			{Name: "mud", Options: []request.Option{{Name: "path"}, {Name: "straw", List: true}, {Name: "kiln", Properties: []string{"heat", "fuel"}, Extension: true}}, RefusesReplacements: "Mud"},
			{Name: "quarry", WholeTree: true},
			{Name: "off", Options: []request.Option{{Name: "path"}}},
		},
		Enabled:   []string{"bricks", "mud", "quarry"},
		Defaults:  []string{"mud", "bricks"},
		Exclusive: [][2]string{{"bricks", "mud"}, {"mud", "quarry"}},
	}
}

const okRef = "c50b93a32df1c9d700e3e80996845bc2e13be848"

// order checks a body with these members beside repo and ref, as the API does.
func order(t *testing.T, members string) (request.Order, error) {
	t.Helper()
	if members != "" {
		members = ", " + members
	}
	body, err := request.ParseJSON([]byte(`{"repo": "r", "ref": "` + okRef + `"` + members + `}`))
	if err != nil {
		t.Fatal(err)
	}
	r := rules()
	if err := r.OrderSchema().Check(body); err != nil {
		return request.Order{}, err
	}
	o, err := r.ParseOrder(body.(pyrepr.Object))
	if err == nil {
		err = r.CheckManagers(o)
	}
	return o, err
}

func TestOrder(t *testing.T) {
	tests := []struct {
		name, members string
		want          request.Order
	}{
		{
			"no manager", `"pkg_managers": []`,
			request.Order{PackageManagers: []string{}},
		},
		{
			"managers in the API's order, each once", `"pkg_managers": ["mud", "bricks", "mud"], "packages": {"mud": [{"path": "a"}]}`,
			request.Order{PackageManagers: []string{"bricks", "mud"}, Packages: map[string]json.RawMessage{"mud": json.RawMessage(`[{"path":"a"}]`)}},
		},
		{
			"an empty list of packages conflicts with nothing", `"packages": {"mud": []}`,
			request.Order{PackageManagers: []string{"bricks", "mud"}, Packages: map[string]json.RawMessage{"mud": json.RawMessage(`[]`)}},
		},
		{
			"a path that goes up and comes back", `"pkg_managers": ["mud"], "packages": {"mud": [{"path": "a/../b", "straw": []}]}`,
			request.Order{PackageManagers: []string{"mud"}, Packages: map[string]json.RawMessage{"mud": json.RawMessage(`[{"path":"a/../b","straw":[]}]`)}},
		},
		{
			"an object of our own", `"pkg_managers": ["mud"], "packages": {"mud": [{"kiln": {"heat": 900, "fuel": "../x"}}, {"kiln": {"fuel": null}}, {"kiln": {}}]}`,
			request.Order{PackageManagers: []string{"mud"}, Packages: map[string]json.RawMessage{"mud": json.RawMessage(`[{"kiln":{"fuel":"../x","heat":900}},{"kiln":{"fuel":null}},{"kiln":{}}]`)}},
		},
		{
			"flags, a replacement that is nobody's, a user", `"pkg_managers": ["bricks"], "flags": ["include-git-dir", "cgo-disable", "include-git-dir"],
				"dependency_replacements": [{"name": "n", "type": "mud", "version": "", "new_name": "m"}], "user": "u"`,
			request.Order{
				PackageManagers: []string{"bricks"}, Flags: []string{"cgo-disable", "include-git-dir"}, User: "u",
				Replacements: []request.Replacement{{Name: "n", Type: "mud", NewName: "m"}},
			},
		},
		{
			"a manager of the whole tree beside one it is not paired with", `"pkg_managers": ["quarry", "bricks"], "packages": {"bricks": [{"path": "deep"}]}`,
			request.Order{PackageManagers: []string{"bricks", "quarry"}, Packages: map[string]json.RawMessage{"bricks": json.RawMessage(`[{"path":"deep"}]`)}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := order(t, tt.members)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Repo, tt.want.Ref = "r", okRef
			if tt.want.Flags == nil {
				tt.want.Flags = []string{}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOrderRefused(t *testing.T) {
	notRelative := `The "straw" values in the "packages.mud" value must be to a relative path in the source repository`
	tests := []struct{ name, members, want string }{
		{"defaults conflict at the root", ``, `The following paths cannot be processed by both 'mud' and 'bricks': .`},
		{
			"conflicts in normal form, sorted, each once", `"packages": {"bricks": [{"path": "b/"}, {"path": "a"}, {"path": "./a"}], "mud": [{"path": "x/../a"}, {"path": "b"}]}`,
			`The following paths cannot be processed by both 'mud' and 'bricks': a, b`,
		},
		{
			"the whole tree beside a folder", `"pkg_managers": ["mud", "quarry"], "packages": {"mud": [{"path": "deep"}]}`,
			"Cannot process non-root packages with 'mud' when 'quarry' is also set.\nSolution: remove the git submodules and instead process the upstream repos (corresponding to the submodules) directly. Each repo should be processed in a separate request.",
		},
		{"no options", `"packages": {"quarry": []}`, `Additional properties are not allowed ('quarry' was unexpected)`},
		{"packages of managers that are not asked for", `"pkg_managers": [], "packages": {"mud": [], "bricks": []}`, `The following package managers in the "packages" object do not apply: bricks, mud`},
		{"an empty object", `"pkg_managers": ["mud"], "packages": {"mud": [{}]}`, `The value of "packages.mud" must be an array of objects with the following keys: path, straw`},
		{"an object of our own is none", `"pkg_managers": ["mud"], "packages": {"mud": [{"kiln": "hot"}]}`, `'hot' is not of type 'object'`},
		{"an object with an unknown key", `"pkg_managers": ["mud"], "packages": {"mud": [{"kiln": {"size": 1}}]}`, `Additional properties are not allowed ('size' was unexpected)`},
		{"an object with a list in it", `"pkg_managers": ["mud"], "packages": {"mud": [{"kiln": {"heat": [1]}}]}`, `[1] is not of type 'string', 'integer'`},
		{"two dots in a name", `"pkg_managers": ["mud"], "packages": {"mud": [{"straw": ["a..b"]}]}`, notRelative},
		{"out of the repository", `"pkg_managers": ["mud"], "packages": {"mud": [{"straw": ["ok", "a/../../b"]}]}`, notRelative},
		{"absolute", `"pkg_managers": ["mud"], "packages": {"mud": [{"straw": ["/a"]}]}`, notRelative},
		{"empty", `"pkg_managers": ["mud"], "packages": {"mud": [{"straw": [""]}]}`, notRelative},
		{"flags sorted, each once", `"pkg_managers": [], "flags": ["z", "a", "z", "cgo-disable"]`, `Invalid/Inactive flag(s): a, z`},
		{"not enabled", `"pkg_managers": ["off"]`, `The following package managers are not enabled: off`},
		{
			"replacement for one that takes none", `"pkg_managers": ["mud"], "dependency_replacements": [{"name": "n", "type": "mud", "version": "1"}]`,
			`Dependency replacements are not yet supported for the Mud package manager`,
		},
		{
			"not enabled comes before replacements", `"pkg_managers": ["mud", "off"], "dependency_replacements": [{"name": "n", "type": "mud", "version": "1"}]`,
			`The following package managers are not enabled: off`,
		},
		{"quotes as Python has them", `"user": ["it's"]`, `["it's"] is not of type 'string'`},
		{"numbers as Python has them", `"user": {"a": [1e3, 1.0, 1e22, 0.00001, -0, 12345678901234567890]}`, `{'a': [1000.0, 1.0, 1e+22, 1e-05, 0, 12345678901234567890]} is not of type 'string'`},
		{"control characters", `"pkg_managers": ["a\r\n\u0000\u00e9\u200b"]`, `'a\r\n\x00é\u200b' is not one of ['bricks', 'mud', 'quarry', 'off']`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := order(t, tt.members)
			var invalid *request.InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("error: got %v, want an InvalidError", err)
			}
			if diff := cmp.Diff(tt.want, invalid.Text); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLengthsCountCharacters(t *testing.T) {
	s := &request.Schema{Type: "string", MinLength: 2, MaxLength: 3}
	for text, ok := range map[string]bool{"é": false, "éé": true, "😀😀😀": true, "ééóó": false} {
		if err := s.Check(text); (err == nil) != ok {
			t.Errorf("%s: got %v, want accepted %v", text, err, ok)
		}
	}
}

func TestReportSchema(t *testing.T) {
	tests := []struct{ body, want string }{
		{`{}`, `{} should be non-empty`},
		{`{"packages_count": -1}`, `-1 is less than the minimum of 0`},
		{`{"packages_count": 1.0}`, `1.0 is not of type 'integer'`},
		{`{"packages_count": true}`, `True is not of type 'integer'`},
		{`{"packages_count": NaN}`, `nan is not of type 'integer'`},
		{`{"state": "done"}`, `'done' is not one of ['in_progress', 'complete', 'failed', 'stale']`},
		{`{"environment_variables": {"A": "b"}}`, `'b' is not of type 'object'`},
		{`{"environment_variables": {"A": {"value": "b"}}}`, `'kind' is a required property`},
		{`{"environment_variables": {"A": {"value": "b", "kind": "path", "x": 1}}}`, `Additional properties are not allowed ('x' was unexpected)`},
		{`{"packages_count": 99999999999999999999}`, ``},
	}
	for _, tt := range tests {
		t.Run(tt.body, func(t *testing.T) {
			body, err := request.ParseJSON([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := request.ReportSchema().Check(body); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}

// TestOrderOfManyPaths: two managers with as many paths as a body can hold take no quadratic time.
func TestOrderOfManyPaths(t *testing.T) {
	var a, b []string
	for i := range 40000 {
		a = append(a, fmt.Sprintf(`{"path":"a%d"}`, i))
		b = append(b, fmt.Sprintf(`{"path":"b%d"}`, i))
	}
	started := time.Now()
	if _, err := order(t, `"packages": {"bricks": [`+strings.Join(a, ",")+`], "mud": [`+strings.Join(b, ",")+`]}`); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestStates(t *testing.T) {
	allowed := map[[2]request.State]bool{
		{request.StateInProgress, request.StateInProgress}: true, {request.StateInProgress, request.StateComplete}: true,
		{request.StateInProgress, request.StateFailed}: true, {request.StateInProgress, request.StateStale}: true,
		{request.StateComplete, request.StateStale}: true, {request.StateFailed, request.StateStale}: true,
	}
	states := []request.State{request.StateInProgress, request.StateComplete, request.StateFailed, request.StateStale}
	for _, from := range states {
		for _, to := range states {
			if got, want := from.CanBecome(to), allowed[[2]request.State{from, to}]; got != want {
				t.Errorf("%s to %s: got %v, want %v", from, to, got, want)
			}
		}
	}
}
