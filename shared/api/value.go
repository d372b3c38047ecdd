package api

import (
	"maps"
	"slices"
	"strconv"

	"github.com/cachito-serverless/cachito/shared/request"
)

// appendPlain appends the JSON text of a value of the kinds that most answers consist of, as far as it is
// plain ASCII. It is what makes long lists quick; everything else is left to encoding/json (ok is false, and
// out as long as b).
func appendPlain(b []byte, v any) (out []byte, ok bool) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), true
	case bool:
		return strconv.AppendBool(b, v), true
	case int:
		return strconv.AppendInt(b, int64(v), 10), true
	case int64:
		return strconv.AppendInt(b, v, 10), true
	case *int64:
		if v == nil {
			return append(b, "null"...), true
		}
		return strconv.AppendInt(b, *v, 10), true
	case string:
		return appendText(b, v)
	case request.State:
		return appendText(b, string(v))
	case []string:
		return appendTexts(b, v)
	case variables:
		return appendVariables(b, v)
	}
	return b, false
}

// appendText quotes a text that needs no escapes.
func appendText(b []byte, s string) ([]byte, bool) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return b, false
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), true
}

func appendTexts(b []byte, list []string) ([]byte, bool) {
	if list == nil {
		return append(b, "null"...), true
	}
	start := len(b)
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var ok bool
		if b, ok = appendText(b, s); !ok {
			return b[:start], false
		}
	}
	return append(b, ']'), true
}

// variables is shown as an object of the variables' values.
type variables map[string]request.EnvironmentVariable

// MarshalJSON implements json.Marshaler, for what is not plain.
func (v variables) MarshalJSON() ([]byte, error) {
	values := map[string]string{}
	for name, variable := range v {
		values[name] = variable.Value
	}
	return marshal(values)
}

func appendVariables(b []byte, v variables) ([]byte, bool) {
	start := len(b)
	b = append(b, '{')
	var few [16]string
	names := slices.AppendSeq(few[:0], maps.Keys(v))
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		var ok bool
		if b, ok = appendText(b, name); !ok {
			return b[:start], false
		}
		b = append(b, ':')
		if b, ok = appendText(b, v[name].Value); !ok {
			return b[:start], false
		}
	}
	return append(b, '}'), true
}
