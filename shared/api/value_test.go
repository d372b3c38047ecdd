package api

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/cachito-serverless/cachito/shared/request"
)

// TestAppendPlain: the quick way to write a value gives what encoding/json gives, or declines.
func TestAppendPlain(t *testing.T) {
	n := int64(-7)
	tests := []struct {
		name  string
		value any
		plain bool
	}{
		{"null", nil, true},
		{"true", true, true},
		{"false", false, true},
		{"int", 12, true},
		{"int64", int64(-1) << 63, true},
		{"pointer", &n, true},
		{"no number", (*int64)(nil), true},
		{"text", "a b/<&>~", true},
		{"empty text", "", true},
		{"state", request.StateComplete, true},
		{"list", []string{"a", "", "c"}, true},
		{"empty list", []string{}, true},
		{"no list", []string(nil), true},
		{"variables", variables{"b": {Value: "1", Kind: "path"}, "a": {Value: "2"}, "": {}}, true},
		{"empty variables", variables{}, true},
		{"no variables", variables(nil), true},
		{"a quote", `a"b`, false},
		{"a backslash", `a\b`, false},
		{"a line break", "a\nb", false},
		{"DEL", "a\x7f", false},
		{"an umlaut", "\u00e4", false},
		{"no UTF-8", "\xff", false},
		{"a quote in a list", []string{"a", `"`}, false},
		{"a quote in a name", variables{`"`: {Value: "a"}}, false},
		{"a quote in a value", variables{"a": {Value: `"`}}, false},
		{"a number of another kind", 1.5, false},
		{"a struct", struct{}{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := appendPlain([]byte("before"), tt.value)
			if ok != tt.plain {
				t.Fatalf("plain: got %v, want %v", ok, tt.plain)
			}
			want := []byte("before")
			if ok {
				var b bytes.Buffer
				enc := json.NewEncoder(&b)
				enc.SetEscapeHTML(false)
				if err := enc.Encode(tt.value); err != nil {
					t.Fatal(err)
				}
				want = append(want, bytes.TrimSpace(b.Bytes())...)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
