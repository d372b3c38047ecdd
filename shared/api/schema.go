package api

import (
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// schema describes a value of a body. Checking goes in the order of the fields, and of the properties'
// list; the first failure is reported, in the words of Python's jsonschema.
type schema struct {
	kind     string // object, array, string, integer
	nullable bool
	enum     []string
	// strings
	minLength, maxLength int // 0: no limit
	pattern              *regexp.Regexp
	// integers
	minimum *big.Int
	// arrays
	items *schema
	// objects
	properties []property
	values     *schema // of properties that are not listed; nil with closed: refused
	closed     bool
	required   []string
	then       []property // checked after the required keys
	nonEmpty   bool
}

type property struct {
	name   string
	schema *schema
}

// check compares a value with the schema. Its error is a 400.
func (s *schema) check(v any) error {
	if v == nil && s.nullable {
		return nil
	}
	if !s.isKind(v) {
		return badRequest("%s is not of type '%s'", pyrepr.Value(v), s.kind)
	}
	switch v := v.(type) {
	case string:
		return s.checkString(v)
	case json.Number:
		if n, ok := new(big.Int).SetString(string(v), 10); ok && s.minimum != nil && n.Cmp(s.minimum) < 0 {
			return badRequest("%s is less than the minimum of %s", pyrepr.Value(v), s.minimum)
		}
	case []any:
		for _, item := range v {
			if err := s.items.check(item); err != nil {
				return err
			}
		}
	case pyrepr.Object:
		return s.checkObject(v)
	}
	return nil
}

func (s *schema) isKind(v any) bool {
	switch s.kind {
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

func (s *schema) checkString(v string) error {
	n := utf8.RuneCountInString(v)
	switch {
	case s.enum != nil && !slices.Contains(s.enum, v):
		return badRequest("%s is not one of %s", pyrepr.String(v), reprList(s.enum))
	case n < s.minLength:
		return badRequest("%s is too short", pyrepr.String(v))
	case s.maxLength > 0 && n > s.maxLength:
		return badRequest("%s is too long", pyrepr.String(v))
	case s.pattern != nil && !s.pattern.MatchString(v):
		return badRequest("%s does not match %s", pyrepr.String(v), pyrepr.String(patternText(s.pattern)))
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

func (s *schema) checkObject(v pyrepr.Object) error {
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
			if err := s.values.check(m.Value); err != nil {
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
		return badRequest("Additional properties are not allowed (%s %s unexpected)", strings.Join(quoted, ", "), was)
	}
	for _, key := range s.required {
		if _, ok := v.Get(key); !ok {
			return badRequest("%s is a required property", pyrepr.String(key))
		}
	}
	if s.nonEmpty && len(v) == 0 {
		return badRequest("{} should be non-empty")
	}
	return checkProperties(v, s.then)
}

func checkProperties(v pyrepr.Object, list []property) error {
	for _, p := range list {
		if value, ok := v.Get(p.name); ok {
			if err := p.schema.check(value); err != nil {
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

func text() *schema { return &schema{kind: "string"} }

func refSchema() *schema {
	return &schema{kind: "string", minLength: 40, maxLength: 40, pattern: refPattern}
}

// postSchema describes the body of POST /requests.
func postSchema(managers []resolver.Descriptor) *schema {
	var names []string
	options := &schema{kind: "object", closed: true}
	for _, m := range managers {
		names = append(names, m.Name)
		if m.Options == nil {
			continue
		}
		entry := &schema{kind: "object", closed: true}
		for _, o := range m.Options {
			value := text()
			if o.List {
				value = &schema{kind: "array", items: text()}
			}
			entry.properties = append(entry.properties, property{o.Name, value})
		}
		options.properties = append(options.properties, property{m.Name, &schema{kind: "array", items: entry}})
	}
	slices.SortFunc(options.properties, func(a, b property) int { return strings.Compare(a.name, b.name) })
	replacement := &schema{
		kind: "object", properties: []property{{"new_name", text()}}, required: []string{"name", "type", "version"},
		then: []property{{"name", text()}, {"type", text()}, {"version", &schema{kind: "string", nullable: true}}},
	}
	return &schema{
		kind: "object", closed: true, required: []string{"ref", "repo"},
		properties: []property{
			{"dependency_replacements", &schema{kind: "array", items: replacement}},
			{"flags", &schema{kind: "array", items: text()}},
			{"packages", options},
			{"pkg_managers", &schema{kind: "array", items: &schema{kind: "string", enum: names}}},
			{"ref", refSchema()},
			{"repo", &schema{kind: "string", maxLength: maxRepo}},
			{"user", text()},
		},
	}
}

// maxRepo is how many characters a repository's URL may have.
const maxRepo = 200

// patchSchema describes the body of PATCH /requests/{id}.
func patchSchema() *schema {
	variable := &schema{
		kind: "object", closed: true, required: []string{"kind", "value"},
		properties: []property{{"value", text()}, {"kind", text()}},
	}
	count := &schema{kind: "integer", minimum: big.NewInt(0)}
	return &schema{
		kind: "object", closed: true, nonEmpty: true,
		properties: []property{
			{"environment_variables", &schema{kind: "object", values: variable}},
			{"state", &schema{kind: "string", enum: stateNames}},
			{"state_reason", text()},
			{"packages_count", count},
			{"dependencies_count", count},
			{"error_origin", &schema{kind: "string", enum: originNames}},
			{"error_type", text()},
		},
	}
}

var (
	stateNames  = []string{"in_progress", "complete", "failed", "stale"}
	originNames = []string{"client", "server"}
)

// configFilesSchema describes the body of POST /requests/{id}/configuration-files.
func configFilesSchema() *schema {
	return &schema{kind: "array", items: &schema{
		kind: "object", closed: true, required: []string{"content", "path", "type"},
		properties: []property{{"content", text()}, {"path", text()}, {"type", &schema{kind: "string", enum: []string{"base64"}}}},
	}}
}
