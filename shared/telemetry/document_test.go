package telemetry_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/telemetry"
)

var update = flag.Bool("update", false, "rewrite the table of docs/observability.md")

const (
	document   = "../../docs/observability.md"
	tableBegin = "<!-- metrics: made by `make golden` -->\n"
	tableEnd   = "<!-- /metrics -->\n"
)

// TestDocumentHasEveryMetric compares the document's table with the code.
func TestDocumentHasEveryMetric(t *testing.T) {
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), tableBegin)
	got, after, ended := strings.Cut(rest, tableEnd)
	if !ok || !ended {
		t.Fatalf("%s: want %q and %q around the table", document, tableBegin, tableEnd)
	}
	var want strings.Builder
	want.WriteString("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n")
	for _, d := range telemetry.Definitions() {
		labels := ""
		if len(d.Labels) > 0 {
			labels = "`" + strings.Join(d.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s | %s |\n", d.Name, d.Type, strings.ToLower(string(d.Unit)), labels, strings.ReplaceAll(d.Meaning, "|", `\|`))
	}
	if *update {
		if err := os.WriteFile(document, []byte(before+tableBegin+want.String()+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), got); diff != "" {
		t.Errorf("%s is not what the code says; run `make golden` (-want +got):\n%s", document, diff)
	}
}
