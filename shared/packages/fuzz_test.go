package packages_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cachito-serverless/cachito/shared/packages"
)

// FuzzDecode: whatever can be read is the same when it is written and read again, artifacts or not.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{"packages": []}`, `{"packages": [{"name": "a", "type": "npm", "version": null, "path": "x", "dependencies": []}]}`,
		`{"packages": [{"dependencies":[{"bundled":true,"dev":false,"name":"a","replaces":null,"type":"npm","version":"1"}],"name":"n","type":"npm","version":"1"}], "artifacts": [{"purl":"pkg:npm/a@1","sha256":["ab"],"unverified":true}]}`,
		`{"x": [[{}], {"y": [1, "a", null, true]}], "packages": [{"new": {"a": []}, "name": "n"}]}`, `{"packages": [{"name": "a", "dependencies": [null]}]}`, `[`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, decode := range map[string]func(*bytes.Reader) (packages.Data, error){
			"Decode":    func(r *bytes.Reader) (packages.Data, error) { return packages.Decode(r) },
			"DecodeAll": func(r *bytes.Reader) (packages.Data, error) { return packages.DecodeAll(r) },
		} {
			data, err := decode(bytes.NewReader(text))
			if err != nil {
				continue
			}
			var b bytes.Buffer
			if err := packages.Encode(&b, data); err != nil {
				t.Fatalf("%s: what was read cannot be written: %v", name, err)
			}
			again, err := decode(bytes.NewReader(b.Bytes()))
			if err != nil {
				t.Fatalf("%s: what was written cannot be read: %v\n%s", name, err, b.Bytes())
			}
			if diff := cmp.Diff(data, again, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: (-first +second):\n%s", name, diff)
			}
		}
	})
}
