package sbom_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cachito-serverless/cachito/shared/sbom"
)

// schemas are the public ones, with their formats (dates, URIs) checked too.
var schemas = sync.OnceValues(func() (map[sbom.Format]*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for name, url := range map[string]string{
		"bom-1.6.schema.json":  "http://cyclonedx.org/schema/bom-1.6.schema.json",
		"jsf-0.82.schema.json": "http://cyclonedx.org/schema/jsf-0.82.schema.json",
		"spdx.schema.json":     "http://cyclonedx.org/schema/spdx.schema.json",
		"spdx-2.3.schema.json": "http://spdx.org/rdf/terms/2.3",
	} {
		raw, err := os.ReadFile(filepath.Join("testdata", "schema", name))
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		if err := c.AddResource(url, doc); err != nil {
			return nil, err
		}
	}
	compiled := map[sbom.Format]*jsonschema.Schema{}
	for f, url := range map[sbom.Format]string{
		sbom.CycloneDX16: "http://cyclonedx.org/schema/bom-1.6.schema.json", sbom.SPDX23: "http://spdx.org/rdf/terms/2.3",
	} {
		var err error
		if compiled[f], err = c.Compile(url); err != nil {
			return nil, err
		}
	}
	return compiled, nil
})

// validate compares a document with its format's schema.
func validate(t testing.TB, f sbom.Format, raw []byte) {
	t.Helper()
	all, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%s: %v\n%s", f, err, raw)
	}
	if err := all[f].Validate(doc); err != nil {
		t.Errorf("%s: %v\n%s", f, err, raw)
	}
}

// TestSchemasTellRightFromWrong: a validator that accepts everything would show nothing.
func TestSchemasTellRightFromWrong(t *testing.T) {
	all, err := schemas()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		format sbom.Format
		wrong  string
	}{
		{sbom.CycloneDX16, `{"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "1"}`},
		{sbom.CycloneDX16, `{"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"timestamp": "today"}}`},
		{sbom.CycloneDX16, `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library"}]}`},
		{sbom.CycloneDX16, `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "a", "scope": "dev"}]}`},
		{sbom.SPDX23, `{"spdxVersion": "SPDX-2.3"}`},
		{sbom.SPDX23, `{"SPDXID": "SPDXRef-DOCUMENT", "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "name": "n", "creationInfo": {"created": "2020-01-01T00:00:00Z", "creators": []}}`},
	} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(test.wrong)))
		if err != nil {
			t.Fatal(err)
		}
		if all[test.format].Validate(doc) == nil {
			t.Errorf("%s: the schema takes %s", test.format, test.wrong)
		}
	}
}
