package api_test

import (
	"net/http"
	"testing"
)

// FuzzOrder sends bodies to POST /requests: whatever comes is stored, or refused as the client's mistake.
func FuzzOrder(f *testing.F) {
	for _, seed := range []string{
		`{"repo": "https://github.com/o/r.git", "ref": "c50b93a32df1c9d700e3e80996845bc2e13be848"}`,
		`{"repo": "", "ref": "c50b93a32df1c9d700e3e80996845bc2e13be848", "pkg_managers": ["npm", "yarn"], "packages": {"npm": [{"path": "a"}], "yarn": []}}`,
		`{"repo": "r", "ref": "c50b93a32df1c9d700e3e80996845bc2e13be848", "pkg_managers": ["pip"], "packages": {"pip": [{"requirements_files": ["a", ".."]}]}}`,
		`{"repo": "r", "ref": "c50b93a32df1c9d700e3e80996845bc2e13be848", "flags": ["cgo-disable"], "dependency_replacements": [{"name": "n", "type": "gomod", "version": "v1"}]}`,
		`{"ref": 1e400, "flags": {"a": [null, true, -0.0]}}`, "\ufeff[]", `{"a": "\ud800"}`, ``, `null`, `{"packages": {"gomod": [{}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := newWorld(t, settings())
		out := w.ask(http.MethodPost, "/api/v1/requests", user, body, "Content-Type", "application/json")
		if out.Code != http.StatusCreated && (out.Code < 400 || out.Code > 499) {
			t.Fatalf("%q: status %d: %s", body, out.Code, out.Body)
		}
		if problems := wellFormed(out.Body.Bytes()); problems != nil {
			t.Fatalf("%q: %v: %s", body, problems, out.Body)
		}
		n, err := w.store.Counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if stored := n.Total == 1; stored != (out.Code == http.StatusCreated) {
			t.Fatalf("%q: status %d and %d requests stored", body, out.Code, n.Total)
		}
	})
}
