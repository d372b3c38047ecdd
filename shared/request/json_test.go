package request_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/request"
)

func TestParseJSON(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tests := []struct {
		name, text string
		want       any
	}{
		{"words", `[null, true, false]`, []any{nil, true, false}},
		{"order of keys is kept", `{"b": 1, "a": 2}`, pyrepr.Object{{Key: "b", Value: json.Number("1")}, {Key: "a", Value: json.Number("2")}}},
		{"of repeated keys the last counts", `{"a": 1, "b": 2, "a": 3}`, pyrepr.Object{{Key: "a", Value: json.Number("3")}, {Key: "b", Value: json.Number("2")}}},
		{"integers in full", `123456789012345678901234567890`, json.Number("123456789012345678901234567890")},
		{"numbers", `[0, -0, 1.50, 1e3, -2E-7, NaN, Infinity, -Infinity]`, []any{
			json.Number("0"), json.Number("-0"), json.Number("1.50"), json.Number("1e3"), json.Number("-2E-7"),
			json.Number("NaN"), json.Number("Infinity"), json.Number("-Infinity"),
		}},
		{"escapes", `"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`, "\"\\/\b\f\n\r\té😀"},
		{"a surrogate alone", `"\ud83dx"`, "\uFFFDx"},
		{"two surrogates of one kind", `"\ud83d\ud83d"`, "\uFFFD\uFFFD"},
		{"byte order mark", "\ufeff[]", []any{}},
		{"blanks everywhere", " \t\r\n{ \"a\" : [ ] } \n", pyrepr.Object{{Key: "a", Value: []any{}}}},
		{"as deep as allowed", deep(request.MaxJSONDepth + 1), nested(request.MaxJSONDepth + 1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := request.ParseJSON([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			// Not cmp.Diff, whose time is exponential in the depth of lists.
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("value: got %s, want %s", pyrepr.Value(got), pyrepr.Value(tt.want))
			}
		})
	}
	for _, text := range []string{
		"", " ", "{", "[", `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[1 2]`, `{a:1}`, `{'a':1}`, "01", "1.", ".5", "1e", "+1", "-", `"`, `"\x"`, `"\u12"`,
		`"\u12g4"`, "\"\n\"", "\"\x00\"", "nul", "True", "[] []", "\"\xff\"", "\xff\xfe[\x00]\x00", "\ufeff\ufeff[]", "-NaN", deep(request.MaxJSONDepth + 2), deep(1 << 20),
	} {
		t.Run("refused "+cut(text), func(t *testing.T) {
			if got, err := request.ParseJSON([]byte(text)); !errors.Is(err, request.ErrJSON) {
				t.Errorf("got %v, %v, want ErrJSON", got, err)
			}
		})
	}
}

func nested(n int) any {
	v := []any{}
	for range n - 1 {
		v = []any{v}
	}
	return v
}

func cut(s string) string {
	if len(s) > 20 {
		return s[:20]
	}
	return s
}

// FuzzParseJSON compares with encoding/json: what that accepts is accepted with the same value, except
// for what is nested too deep; what it refuses is refused, except for Python's additions.
func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{`{"a": [1, 2.5e-3, "x\u00e9", null, true]}`, `{"a":1,"a":2}`, `"\ud83d\ude00"`, "\ufeff1", "[[[]]]", `[NaN]`, `"\u"`, "-0"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := request.ParseJSON(raw)
		dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
		dec.UseNumber()
		var want any
		theirs := dec.Decode(&want)
		if theirs == nil && dec.More() {
			theirs = errors.New("more than one value")
		}
		if theirs == nil && err != nil && depth(want) <= request.MaxJSONDepth && bytes.Equal(raw, bytes.ToValidUTF8(raw, nil)) && json.Valid(bytes.TrimPrefix(raw, []byte("\ufeff"))) {
			t.Fatalf("%q is refused: %v", raw, err)
		}
		if err != nil {
			return
		}
		if theirs != nil {
			if !bytes.Contains(raw, []byte("NaN")) && !bytes.Contains(raw, []byte("Infinity")) {
				t.Fatalf("%q is accepted; encoding/json says %v", raw, theirs)
			}
			return
		}
		if !reflect.DeepEqual(unordered(got), want) {
			t.Fatalf("%q: got %v, want %v", raw, unordered(got), want)
		}
	})
}

func unordered(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = unordered(v[i])
		}
		return out
	case pyrepr.Object:
		out := map[string]any{}
		for _, m := range v {
			out[m.Key] = unordered(m.Value)
		}
		return out
	}
	return v
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			deepest = max(deepest, depth(item)+1)
		}
	case map[string]any:
		for _, item := range v {
			deepest = max(deepest, depth(item)+1)
		}
	}
	return deepest
}
