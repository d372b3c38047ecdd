package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	"github.com/cachito-serverless/cachito/shared/sbom"
)

func describedServer(t *testing.T) *server {
	t.Helper()
	cfg := Config{DefaultPackageManagers: []string{all.List()[0].Name}}
	for _, d := range all.List() {
		cfg.PackageManagers = append(cfg.PackageManagers, d.Name)
	}
	h, err := New(cfg, Deps{Managers: all.List(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return h.(*server)
}

// served gets the description as a client does.
func served(t *testing.T, s *server, path string, decode func([]byte, any) error) map[string]any {
	t.Helper()
	out := httptest.NewRecorder()
	s.ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	if out.Code != http.StatusOK {
		t.Fatalf("%s: status %d", path, out.Code)
	}
	var doc map[string]any
	if err := decode(out.Body.Bytes(), &doc); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return doc
}

// operationOf is what the router and the description say about one method of one path.
type operationOf struct {
	Query    []string // in checking order; "!" marks a required one
	Body     bool
	PathVars []string
}

// TestDescriptionMatchesRouter compares openapi.yaml with the router's table, both ways.
func TestDescriptionMatchesRouter(t *testing.T) {
	s := describedServer(t)
	want := map[string]operationOf{}
	for _, rt := range s.routes {
		path, ok := strings.CutPrefix(rt.path, Base)
		if !ok {
			continue // pages beside the API
		}
		var op operationOf
		for _, p := range rt.params {
			name := p.name
			if p.required {
				name += "!"
			}
			op.Query = append(op.Query, name)
		}
		if strings.Contains(path, "{id}") {
			path = strings.ReplaceAll(path, "{id}", "{request_id}")
			op.PathVars = []string{"request_id"}
		}
		op.Body = rt.body != nil
		want[strings.ToLower(rt.method)+" "+path] = op
	}

	doc := served(t, s, Base+"/openapi.json", json.Unmarshal)
	got := map[string]operationOf{}
	for path, item := range doc["paths"].(map[string]any) {
		methods := item.(map[string]any)
		shared, _ := methods["parameters"].([]any)
		for method, v := range methods {
			if method == "parameters" {
				continue
			}
			described := v.(map[string]any)
			var op operationOf
			own, _ := described["parameters"].([]any)
			for _, raw := range append(slices.Clone(shared), own...) {
				p := follow(t, doc, raw.(map[string]any))
				name := p["name"].(string)
				switch p["in"] {
				case "path":
					op.PathVars = append(op.PathVars, name)
				case "query":
					if p["required"] == true {
						name += "!"
					}
					op.Query = append(op.Query, name)
				}
			}
			_, op.Body = described["requestBody"]
			got[method+" "+path] = op
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("description (-router +description):\n%s", diff)
	}
}

func follow(t *testing.T, doc, v map[string]any) map[string]any {
	t.Helper()
	ref, ok := v["$ref"].(string)
	if !ok {
		return v
	}
	var at any = doc
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		next, there := at.(map[string]any)[part]
		if !there {
			t.Fatalf("reference %s leads nowhere", ref)
		}
		at = next
	}
	return at.(map[string]any)
}

// TestDescriptionReferences: every reference leads somewhere.
func TestDescriptionReferences(t *testing.T) {
	doc := served(t, describedServer(t), Base+"/openapi.json", json.Unmarshal)
	n := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if _, is := v["$ref"].(string); is {
				n++
				follow(t, doc, v)
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(doc)
	if n < 50 {
		t.Errorf("only %d references were found: the walk is broken", n)
	}
}

// TestDescriptionFollowsDescriptors: enums and options are the descriptors'.
func TestDescriptionFollowsDescriptors(t *testing.T) {
	s := describedServer(t)
	doc := served(t, s, Base+"/openapi.json", json.Unmarshal)
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	var names, described []string
	options := map[string][]string{}
	for _, d := range all.List() {
		names = append(names, d.Name)
		for _, o := range d.Options {
			options[d.Name] = append(options[d.Name], o.Name)
		}
		slices.Sort(options[d.Name])
	}
	for _, v := range schemas["PackageManager"].(map[string]any)["enum"].([]any) {
		described = append(described, v.(string))
	}
	if diff := cmp.Diff(names, described); diff != "" {
		t.Errorf("package managers (-want +got):\n%s", diff)
	}
	got := map[string][]string{}
	for name, v := range schemas["PackageOptions"].(map[string]any)["properties"].(map[string]any) {
		entry := v.(map[string]any)["items"].(map[string]any)
		if entry["additionalProperties"] != false {
			t.Errorf("%s: additionalProperties: got %v, want false", name, entry["additionalProperties"])
		}
		for key := range entry["properties"].(map[string]any) {
			got[name] = append(got[name], key)
		}
		slices.Sort(got[name])
	}
	for name, keys := range options {
		if len(keys) == 0 {
			delete(options, name)
		}
	}
	if diff := cmp.Diff(options, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}

// TestDescriptionOfOptions: each kind of option has the schema that orders are checked against.
func TestDescriptionOfOptions(t *testing.T) {
	tests := []struct {
		name   string
		option request.Option
		want   string
	}{
		{"path", request.Option{Name: "path"}, "type: string\n"},
		{"list", request.Option{Name: "files", List: true}, "type: array\nitems:\n    type: string\n"},
		{
			"object",
			request.Option{Name: "kiln", Properties: []string{"heat"}, Extension: true},
			"type: object\nadditionalProperties: false\nproperties:\n    heat:\n        anyOf:\n            - type: string\n              nullable: true\n            - type: integer\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := yaml.Marshal(optionSchema(tt.option))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDescriptionOfFormats: the values of the parameter format, its default, and the media types are those of
// package sbom.
func TestDescriptionOfFormats(t *testing.T) {
	doc := served(t, describedServer(t), Base+"/openapi.json", json.Unmarshal)
	schema := follow(t, doc, map[string]any{"$ref": "#/components/parameters/format"})["schema"].(map[string]any)
	var want []any
	for _, f := range sbom.Formats {
		want = append(want, f)
	}
	if diff := cmp.Diff(want, schema["enum"]); diff != "" || schema["default"] != want[0] {
		t.Errorf("default %v, values (-want +got):\n%s", schema["default"], diff)
	}
	for _, path := range []string{"/sbom", "/requests/{request_id}/sbom"} {
		get := doc["paths"].(map[string]any)[path].(map[string]any)["get"].(map[string]any)
		content := get["responses"].(map[string]any)["200"].(map[string]any)["content"].(map[string]any)
		for _, f := range sbom.Formats {
			if content[sbom.Format(f).MediaType()] == nil {
				t.Errorf("%s lacks the media type of %s", path, f)
			}
		}
	}
}

// TestDescriptionForms: YAML, JSON and the file of upstream's page are one description.
func TestDescriptionForms(t *testing.T) {
	s := describedServer(t)
	asJSON := served(t, s, Base+"/openapi.json", json.Unmarshal)
	for _, path := range []string{Base + "/openapi.yaml", "/static/api_v1.yaml"} {
		doc := served(t, s, path, yaml.Unmarshal)
		raw, err := json.Marshal(doc) // numbers become float64 as in the other
		if err != nil {
			t.Fatal(err)
		}
		var again map[string]any
		if err := json.Unmarshal(raw, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asJSON, again); diff != "" {
			t.Errorf("%s (-JSON +YAML):\n%s", path, diff)
		}
	}
}
