package npm

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver/javascript"
)

// lockfileSeeds are the lockfiles of the cases, more or less.
func lockfileSeeds() []string {
	w := newWorld()
	seeds := []string{
		lockX, empty, `{"lockfileVersion":1,"requires":true,"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"npm:c@2.0.0","bundled":true}},"requires":{"u":"o/u"}}}}`,
		`{"lockfileVersion":2,"packages":{"":{"workspaces":{"packages":["p/*"]}},"p/w":{"version":"1"},"node_modules/w":{"resolved":"p/w","link":true},"node_modules/g":{"resolved":"git+ssh://git@h/o/g.git#COMMIT","integrity":"sha1-x"}},"dependencies":{"g":{"version":"git+ssh://git@h/o/g.git#COMMIT","from":"g@o/g"}}}`,
		`{"lockfileVersion":3,"packages":{"node_modules/x":{"version":"1.0.0","integrity":"SRI(x-1.0.0.tgz)","resolved":false},"node_modules/f":{"version":"4.2.0","resolved":"https://x.test/f.tgz","integrity":"SRI(f.tgz)","peerDependencies":{"a":"a/b"}}}}`,
		`{"lockfileVersion":3,"lockfileVersion":1,"packages":{"":null}}`, "\xef\xbb\xbf{\"lockfileVersion\":1}", `{"a":"\ud800","b":1e400,"\u0061":[{},[],"\"\\"]}`,
	}
	for i, s := range seeds {
		seeds[i] = w.replacer().Replace(s)
	}
	return seeds
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var values [2]any
	for i, text := range [][]byte{bytes.TrimPrefix(a, []byte("\xef\xbb\xbf")), b} {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&values[i]); err != nil {
			t.Fatalf("%q is no JSON: %v", text, err)
		}
	}
	return reflect.DeepEqual(values[0], values[1])
}

// Copying changes nothing but white space, and what is accepted is what encoding/json accepts.
func FuzzEditor(f *testing.F) {
	for _, s := range lockfileSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var out bytes.Buffer
		e := newEditor(bytes.NewReader(content), &out)
		err := e.document(func(string) error { return e.copy() })
		plain := bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
		isObject := bytes.HasPrefix(bytes.TrimLeft(plain, " \t\r\n"), []byte("{"))
		if err != nil {
			var syntax *syntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("%q: %v", content, err)
			}
			if json.Valid(plain) && isObject && len(content) < maxJSONTextBytes && bytes.Count(content, []byte("{"))+bytes.Count(content, []byte("[")) < maxJSONDepth {
				t.Errorf("%q is JSON, but: %v", content, err)
			}
			return
		}
		if !json.Valid(plain) || !isObject {
			t.Fatalf("%q is accepted", content)
		}
		if e.changed || !sameJSON(t, content, out.Bytes()) {
			t.Errorf("%q became %q", content, out.Bytes())
		}
		var again bytes.Buffer
		second := newEditor(bytes.NewReader(out.Bytes()), &again)
		if err := second.document(func(string) error { return second.copy() }); err != nil || !bytes.Equal(again.Bytes(), out.Bytes()) {
			t.Errorf("%q, edited again: %q (%v)", out.Bytes(), again.Bytes(), err)
		}
	})
}

// A lockfile is refused with a fault of the client's, or its rewritten form has the same entries, names every
// file that is in the bundle, and needs no change when it is rewritten again.
func FuzzLockfile(f *testing.F) {
	for _, s := range lockfileSeeds() {
		f.Add([]byte(s))
	}
	registry := javascript.Registry{Base: "https://" + askedHost + "/", Hosts: []string{npmHost, yarnHost}}
	f.Fuzz(func(t *testing.T, content []byte) {
		left := 1000
		lock, err := parseLockfile(bytes.NewReader(content), "package-lock.json", &left)
		var p plan
		if err == nil {
			if left < 0 || len(lock.entries)+len(lock.workspaces) > 1000 {
				t.Fatalf("%q: %d entries", content, len(lock.entries))
			}
			p, err = makePlan(lock, "package-lock.json", registry, func(string, string) error { return nil })
		}
		if err != nil {
			if flt := fault.From(err); flt.Type == fault.UnknownError || flt.Origin != fault.OriginClient {
				t.Errorf("%q: %v", content, err)
			}
			return
		}
		pr := &project{plan: p, realDir: "sub", format: lock.format}
		for i := range pr.files {
			w := &pr.files[i]
			w.path = "npm/" + w.name + ".tgz"
			w.sri = "sha512-" + strings.Repeat("A", 86) + "=="
			if w.version == "" {
				w.version = "1.0.0"
			}
			if w.kind == javascript.FromURL {
				integrity.Strongest(w.digests)[0].Hex() // there is one
			}
		}
		rewritten := edit(t, content, pr)
		left = 1000
		after, err := parseLockfile(bytes.NewReader(rewritten), "package-lock.json", &left)
		if err != nil || len(after.entries) != len(lock.entries) {
			t.Fatalf("%q became %q with %d entries (%v)", content, rewritten, len(after.entries), err)
		}
		for i, rule := range p.rewrites {
			if e := after.entries[i]; rule.file != none && e.resolved != pr.reference(rule.file) {
				t.Errorf("%q: the entry %q is resolved at %q in %q", content, e.key, e.resolved, rewritten)
			}
		}
		for i := range pr.rewrites {
			if pr.rewrites[i].how != inResolved {
				pr.rewrites[i].how = inResolved
			}
		}
		if again := edit(t, rewritten, pr); !bytes.Equal(again, rewritten) {
			t.Errorf("%q, rewritten again, became %q", rewritten, again)
		}
	})
}

func edit(t *testing.T, content []byte, p *project) []byte {
	t.Helper()
	var out bytes.Buffer
	l := &lockEditor{editor: newEditor(bytes.NewReader(content), &out), p: p}
	if err := l.document(l.member); err != nil {
		t.Fatalf("%q: %v", content, err)
	}
	return out.Bytes()
}

// After rewriting, no specification of a package.json leads to the network.
func FuzzPackageJSON(f *testing.F) {
	for _, s := range []string{
		`{"dependencies":{"a":"o/a","b":"^1"},"overrides":{"a":"o/a","c":{".":"https://h/c","d@^1":"git@h:x/y"}}}`,
		`{"overrides":{"@s/a@1":"$a","":"o/r"},"peerDependencies":{"a":1,"b":{}},"devDependencies":[]}`, `{"overrides":"o/r"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		p := &project{plan: plan{installed: map[string][]int{}, sources: map[string]int{"https://h/a.tgz": 0}}, realDir: "."}
		p.files = []wanted{{kind: javascript.FromURL, name: "a", source: "https://h/a.tgz", path: "npm/a.tgz"}}
		p.installed["a"] = []int{0}
		o := p.overrides(content)
		var out bytes.Buffer
		e := newEditor(bytes.NewReader(content), &out)
		if e.document(packageJSONEditor(e, o)) != nil {
			return
		}
		var got map[string]json.RawMessage
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%q became %q: %v", content, out.Bytes(), err)
		}
		for section := range sections {
			var specs map[string]any
			if json.Unmarshal(got[section], &specs) != nil {
				continue
			}
			for name, spec := range specs {
				if text, ok := spec.(string); ok && leadsToNetwork(text) {
					t.Errorf("%q: %s %s is still %q", content, section, name, text)
				}
			}
		}
		var overridden any
		if json.Unmarshal(got["overrides"], &overridden) == nil {
			checkOverrides(t, content, overridden)
		}
	})
}

func checkOverrides(t *testing.T, content []byte, v any) {
	t.Helper()
	switch v := v.(type) {
	case string:
		if leadsToNetwork(v) {
			t.Errorf("%q: an override is still %q", content, v)
		}
	case map[string]any:
		for _, inner := range v {
			checkOverrides(t, content, inner)
		}
	}
}
