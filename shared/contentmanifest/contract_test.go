package contentmanifest_test

import (
	"testing"

	"github.com/cachito-serverless/cachito/shared/contentmanifest"
	"github.com/cachito-serverless/cachito/shared/resolver/all/documenttest"
)

func TestContract(t *testing.T) {
	documenttest.RunContract(t, "content-manifest", contentmanifest.Write, 17, "../api/testdata/cases-k.jsonl", "../api/testdata/cases-l.jsonl")
}
