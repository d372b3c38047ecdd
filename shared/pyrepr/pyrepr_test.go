package pyrepr_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

func TestValue(t *testing.T) {
	n := func(text string) json.Number { return json.Number(text) }
	for _, test := range []struct {
		name string
		v    any
		want string
	}{
		{"null", nil, "None"},
		{"true", true, "True"},
		{"false", false, "False"},
		{"integer", n("12"), "12"},
		{"big integer in full", n("123456789012345678901234567890"), "123456789012345678901234567890"},
		{"minus nothing", n("-0"), "0"},
		{"fraction", n("1.0"), "1.0"},
		{"trailing zeros", n("1.500"), "1.5"},
		{"minus nothing with a fraction", n("-0.0"), "-0.0"},
		{"small exponent", n("1e3"), "1000.0"},
		{"large exponent", n("1e22"), "1e+22"},
		{"last without exponent", n("9999999999999998.0"), "9999999999999998.0"},
		{"first with exponent", n("1e16"), "1e+16"},
		{"small", n("0.0001"), "0.0001"},
		{"smaller", n("0.00001"), "1e-05"},
		{"three digits of exponent", n("1.5E-100"), "1.5e-100"},
		{"too large for a float", n("1e400"), "inf"},
		{"too small for a float", n("1e-400"), "0.0"},
		{"NaN", n("NaN"), "nan"},
		{"Infinity", n("Infinity"), "inf"},
		{"-Infinity", n("-Infinity"), "-inf"},
		{"empty list", []any{}, "[]"},
		{"list", []any{n("1"), "a", nil}, "[1, 'a', None]"},
		{"empty object", pyrepr.Object{}, "{}"},
		{"object in the order given", pyrepr.Object{{"b", n("2")}, {"a", []any{n("2")}}, {"it's", pyrepr.Object{{"x", true}}}}, `{'b': 2, 'a': [2], "it's": {'x': True}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := pyrepr.Value(test.v); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestString(t *testing.T) {
	for _, test := range []struct{ name, s, want string }{
		{"empty", "", `''`},
		{"plain", "it", `'it'`},
		{"single quote", "it's", `"it's"`},
		{"double quote", `a"b`, `'a"b'`},
		{"both", `it's "so"`, `'it\'s "so"'`},
		{"backslash", `a\b`, `'a\\b'`},
		{"named escapes", "a\nb\tc\rd", `'a\nb\tc\rd'`},
		{"control characters", "\x00\x1f\x7f\a", `'\x00\x1f\x7f\x07'`},
		{"Latin-1 control and soft hyphen", "\u0085\u00ad", `'\x85\xad'`},
		{"printable non-ASCII", "é ü 漢字 😀", `'é ü 漢字 😀'`},
		{"no-break space", "a\u00a0b", `'a\xa0b'`},
		{"other spaces and separators", "\u2003\u2028\u3000", `'\u2003\u2028\u3000'`},
		{"zero width and byte order mark", "\u200b\ufeff", `'\u200b\ufeff'`},
		{"private use", "\ue000", `'\ue000'`},
		{"not assigned", "\u0378\U0003ffff", `'\u0378\U0003ffff'`},
		{"replacement character itself", "\ufffd", "'\ufffd'"},
		{"not UTF-8", "a\xffb", `'a\udcffb'`},
		{"combining mark", "e\u0301", "'e\u0301'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := pyrepr.String(test.s); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestFloat(t *testing.T) {
	for _, test := range []struct {
		f    float64
		want string
	}{
		{0, "0.0"},
		{1, "1.0"},
		{-2.5, "-2.5"},
		{0.1, "0.1"},
		{1e15, "1000000000000000.0"},
		{1e16, "1e+16"},
		{-1e-5, "-1e-05"},
		{5e-324, "5e-324"},
		{math.MaxFloat64, "1.7976931348623157e+308"},
		{math.NaN(), "nan"},
		{math.Inf(1), "inf"},
		{math.Inf(-1), "-inf"},
	} {
		if got := pyrepr.Float(test.f); got != test.want {
			t.Errorf("Float(%g) = %s, want %s", test.f, got, test.want)
		}
	}
}

func TestObjectGet(t *testing.T) {
	o := pyrepr.Object{{"a", 1}, {"b", 2}, {"a", 3}}
	if v, ok := o.Get("a"); v != 3 || !ok {
		t.Errorf("of repeated keys got %v, %v, want the last, 3", v, ok)
	}
	if v, ok := o.Get("c"); v != nil || ok {
		t.Errorf("a key that is not there gives %v, %v", v, ok)
	}
}
