package request

import (
	"math/big"
	"slices"
	"strings"
)

// MaxRepoLength is how many characters a repository's URL may have.
const MaxRepoLength = 200

// States and Origins as the API lists them.
var (
	States  = []string{string(StateInProgress), string(StateComplete), string(StateFailed), string(StateStale)}
	Origins = []string{"client", "server"}
)

// OrderSchema describes the body of POST /requests.
func (r Rules) OrderSchema() *Schema {
	names := make([]string, 0, len(r.Managers))
	options := &Schema{Type: "object", closed: true}
	for _, m := range r.Managers {
		names = append(names, m.Name)
		if m.Options == nil {
			continue
		}
		entry := &Schema{Type: "object", closed: true}
		for _, o := range m.Options {
			entry.properties = append(entry.properties, property{o.Name, o.schema()})
		}
		options.properties = append(options.properties, property{m.Name, &Schema{Type: "array", items: entry}})
	}
	slices.SortFunc(options.properties, func(a, b property) int { return strings.Compare(a.name, b.name) })
	replacement := &Schema{
		Type: "object", properties: []property{{"new_name", Text()}}, required: []string{"name", "type", "version"},
		then: []property{{"name", Text()}, {"type", Text()}, {"version", &Schema{Type: "string", nullable: true}}},
	}
	return &Schema{
		Type: "object", closed: true, required: []string{"ref", "repo"},
		properties: []property{
			{"dependency_replacements", &Schema{Type: "array", items: replacement}},
			{"flags", &Schema{Type: "array", items: Text()}},
			{"packages", options},
			{"pkg_managers", &Schema{Type: "array", items: &Schema{Type: "string", Enum: names}}},
			{"ref", RefSchema()},
			{"repo", &Schema{Type: "string", MaxLength: MaxRepoLength}},
			{"user", Text()},
		},
	}
}

// schema of the option's value.
func (o Option) schema() *Schema {
	switch {
	case o.Properties != nil:
		object := &Schema{Type: "object", closed: true}
		for _, name := range o.Properties {
			object.properties = append(object.properties, property{name, &Schema{Type: "string", also: []string{"integer"}, nullable: true}})
		}
		return object
	case o.List:
		return &Schema{Type: "array", items: Text()}
	}
	return Text()
}

// ReportSchema describes the body of PATCH /requests/{id}.
func ReportSchema() *Schema {
	variable := &Schema{
		Type: "object", closed: true, required: []string{"kind", "value"},
		properties: []property{{"value", Text()}, {"kind", Text()}},
	}
	count := &Schema{Type: "integer", minimum: big.NewInt(0)}
	return &Schema{
		Type: "object", closed: true, nonEmpty: true,
		properties: []property{
			{"environment_variables", &Schema{Type: "object", values: variable}},
			{"state", &Schema{Type: "string", Enum: States}},
			{"state_reason", Text()},
			{"packages_count", count},
			{"dependencies_count", count},
			{"error_origin", &Schema{Type: "string", Enum: Origins}},
			{"error_type", Text()},
		},
	}
}

// ConfigFilesSchema describes the body of POST /requests/{id}/configuration-files.
func ConfigFilesSchema() *Schema {
	return &Schema{Type: "array", items: &Schema{
		Type: "object", closed: true, required: []string{"content", "path", "type"},
		properties: []property{{"content", Text()}, {"path", Text()}, {"type", &Schema{Type: "string", Enum: []string{"base64"}}}},
	}}
}
