package sbom_test

import (
	"testing"

	"github.com/cachito-serverless/cachito/shared/resolver/all/documenttest"
	"github.com/cachito-serverless/cachito/shared/sbom"
)

func TestContract(t *testing.T) {
	documenttest.RunContract(t, "sbom", sbom.CycloneDX, 4, "../api/testdata/cases-l.jsonl")
}
