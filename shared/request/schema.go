package request

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// InvalidError is what is wrong with an input, in words for the client.
type InvalidError struct{ Text string }

func (e *InvalidError) Error() string { return e.Text }

func invalid(format string, args ...any) error { return &InvalidError{fmt.Sprintf(format, args...)} }

// Schema describes a value. Checking goes in the order of the fields, and of the lists of properties; the
// first failure is reported, in the words of Python's jsonschema.
type Schema struct {
	Type     string   // object, array, string, integer
	also     []string // further types that are allowed
	nullable bool
	Enum     []string
	// Strings: lengths in characters, 0 for no limit.
	MinLength, MaxLength int
	Pattern              *regexp.Regexp
	// Integers.
	minimum *big.Int
	// Arrays.
	items *Schema
	// Objects.
	properties []property
	values     *Schema // of properties that are not listed
	closed     bool    // no others than the listed properties
	required   []string
	then       []property // checked after the required keys
	nonEmpty   bool
}

type property struct {
	name   string
	schema *Schema
}

// Check compares a value of ParseJSON with the schema. *InvalidError.
func (s *Schema) Check(v any) error {
	if v == nil && s.nullable {
		return nil
	}
	if !isKind(v, s.Type) && !slices.ContainsFunc(s.also, func(t string) bool { return isKind(v, t) }) {
		return invalid("%s is not of type '%s'", pyrepr.Value(v), strings.Join(append([]string{s.Type}, s.also...), "', '"))
	}
	switch v := v.(type) {
	case string:
		return s.checkString(v)
	case json.Number:
		if n, ok := new(big.Int).SetString(string(v), 10); ok && s.minimum != nil && n.Cmp(s.minimum) < 0 {
			return invalid("%s is less than the minimum of %s", pyrepr.Value(v), s.minimum)
		}
	case []any:
		for _, item := range v {
			if err := s.items.Check(item); err != nil {
				return err
			}
		}
	case pyrepr.Object:
		return s.checkObject(v)
	}
	return nil
}

func isKind(v any, kind string) bool {
	switch kind {
	case "object":
		_, ok := v.(pyrepr.Object)
		return ok
	case "array":
		_, ok := v.([]any)
		return ok
	case "string":
		_, ok := v.(string)
		return ok
	default: // integer: without fraction and exponent
		n, ok := v.(json.Number)
		return ok && !strings.ContainsAny(string(n), ".eEnN")
	}
}

func (s *Schema) checkString(v string) error {
	n := utf8.RuneCountInString(v)
	switch {
	case s.Enum != nil && !slices.Contains(s.Enum, v):
		return invalid("%s is not one of %s", pyrepr.String(v), reprList(s.Enum))
	case n < s.MinLength:
		return invalid("%s is too short", pyrepr.String(v))
	case s.MaxLength > 0 && n > s.MaxLength:
		return invalid("%s is too long", pyrepr.String(v))
	case s.Pattern != nil && !s.Pattern.MatchString(v):
		return invalid("%s does not match %s", pyrepr.String(v), pyrepr.String(patternText(s.Pattern)))
	}
	return nil
}

func reprList(list []string) string {
	values := make([]any, len(list))
	for i, v := range list {
		values[i] = v
	}
	return pyrepr.Value(values)
}

func (s *Schema) checkObject(v pyrepr.Object) error {
	if err := checkProperties(v, s.properties); err != nil {
		return err
	}
	var unknown []string
	for _, m := range v {
		if slices.ContainsFunc(s.properties, func(p property) bool { return p.name == m.Key }) {
			continue
		}
		if s.closed {
			unknown = append(unknown, m.Key)
		} else if s.values != nil {
			if err := s.values.Check(m.Value); err != nil {
				return err
			}
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		quoted := make([]string, len(unknown))
		for i, k := range unknown {
			quoted[i] = pyrepr.String(k)
		}
		was := "was"
		if len(unknown) > 1 {
			was = "were"
		}
		return invalid("Additional properties are not allowed (%s %s unexpected)", strings.Join(quoted, ", "), was)
	}
	for _, key := range s.required {
		if _, ok := v.Get(key); !ok {
			return invalid("%s is a required property", pyrepr.String(key))
		}
	}
	if s.nonEmpty && len(v) == 0 {
		return invalid("{} should be non-empty")
	}
	return checkProperties(v, s.then)
}

func checkProperties(v pyrepr.Object, list []property) error {
	for _, p := range list {
		if value, ok := v.Get(p.name); ok {
			if err := p.schema.Check(value); err != nil {
				return err
			}
		}
	}
	return nil
}

var refPattern = regexp.MustCompile(`^[a-f0-9]{40}\n?$`)

// patternText is a pattern as it is shown. Python's "$" matches before a final newline too, which our
// expressions spell out.
func patternText(p *regexp.Regexp) string { return strings.ReplaceAll(p.String(), `\n?$`, `$`) }

// Text is the schema of any string.
func Text() *Schema { return &Schema{Type: "string"} }

// RefSchema is the schema of a commit.
func RefSchema() *Schema {
	return &Schema{Type: "string", MinLength: 40, MaxLength: 40, Pattern: refPattern}
}
