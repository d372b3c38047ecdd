package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/resolver"
)

// maxRows is how many rows of one kind the form takes: paths of a package manager, replacements.
const maxRows = 100

// orderForm is the form for a request: what may be chosen, what was chosen, and what is wrong with it. Which
// package managers, options and flags there are, the descriptors say.
type orderForm struct {
	Repo, Ref, User string
	Managers        []managerField
	Flags           []flagField
	Replacements    []replacementRow
	// Types that a replacement may have.
	Types []string
	// Errors by field: "repo", "ref", "managers", "flags", "replacements", "user", "manager-gomod"; "" is the
	// form as a whole.
	Errors map[string]string
	Base   string
}

type flagField struct {
	Name    string
	Of      string // the package manager that it concerns; empty: the source
	Checked bool
}

type managerField struct {
	Name    string
	Checked bool
	Options []resolver.Option
	// Rows are the entries of packages.<name>; empty when the manager has no options.
	Rows []optionRow
}

// optionRow is one entry: the values of the manager's options, in their order.
type optionRow struct {
	Number int
	Values []optionValue
}

// optionValue is the value of one option, or of one property of an option that is an object.
type optionValue struct {
	// Field is the input's name, "gomod.0.path" or "pip.0.binary.arch".
	Field string
	// Label is the option's name, and the property's.
	Label string
	List  bool
	Text  string // a list has one element a line
}

type replacementRow struct {
	Number                       int
	Name, Type, Version, NewName string
}

func (p *Pages) emptyForm() *orderForm {
	f := &orderForm{Errors: map[string]string{}}
	f.Flags = []flagField{{Name: request.FlagIncludeGitDir}, {Name: request.FlagRemoveUnsafeSymlinks}}
	for _, d := range p.enabled() {
		m := managerField{Name: d.Name, Checked: slices.Contains(p.Defaults, d.Name), Options: d.Options}
		m.grow(1)
		f.Managers = append(f.Managers, m)
		for _, name := range d.Flags {
			f.Flags = append(f.Flags, flagField{Name: name, Of: d.Name})
		}
		if d.RefusesReplacements == "" {
			f.Types = append(f.Types, d.Name)
		}
	}
	return f
}

// grow makes rows until there are n.
func (m *managerField) grow(n int) {
	for len(m.Options) > 0 && len(m.Rows) < min(n, maxRows) {
		row := optionRow{Number: len(m.Rows)}
		for _, o := range m.Options {
			field := fmt.Sprintf("%s.%d.%s", m.Name, row.Number, o.Name)
			if o.Properties == nil {
				row.Values = append(row.Values, optionValue{Field: field, Label: o.Name, List: o.List})
			}
			for _, property := range o.Properties {
				row.Values = append(row.Values, optionValue{Field: field + "." + property, Label: o.Name + "." + property})
			}
		}
		m.Rows = append(m.Rows, row)
	}
}

// read takes what was sent. Fields that the form does not have are passed over.
func (f *orderForm) read(sent url.Values) {
	get := func(name string) string { return strings.TrimSpace(strings.ToValidUTF8(sent.Get(name), "\uFFFD")) }
	f.Repo, f.Ref, f.User = get("repo"), get("ref"), get("user")
	for i := range f.Flags {
		f.Flags[i].Checked = slices.Contains(sent["flag"], f.Flags[i].Name)
	}
	for i := range f.Managers {
		m := &f.Managers[i]
		m.Checked = slices.Contains(sent["manager"], m.Name)
		m.grow(1 + lastRow(sent, m.Name))
		for _, row := range m.Rows {
			for v := range row.Values {
				row.Values[v].Text = get(row.Values[v].Field)
			}
		}
	}
	for n := range min(1+lastRow(sent, "replacement"), maxRows) {
		field := fmt.Sprintf("replacement.%d.", n)
		f.Replacements = append(f.Replacements, replacementRow{n, get(field + "name"), get(field + "type"), get(field + "version"), get(field + "new_name")})
	}
}

// lastRow is the highest number N of fields "name.N.…"; -1 when there is none.
func lastRow(sent url.Values, name string) int {
	last := -1
	for field := range sent {
		if rest, ok := strings.CutPrefix(field, name+"."); ok {
			number, _, _ := strings.Cut(rest, ".")
			if n, err := strconv.Atoi(number); err == nil {
				last = max(last, n)
			}
		}
	}
	return last
}

// add makes another empty row: of a package manager, or a replacement.
func (f *orderForm) add(name string) {
	if name == "replacement" && len(f.Replacements) < maxRows {
		f.Replacements = append(f.Replacements, replacementRow{Number: len(f.Replacements)})
	}
	for i := range f.Managers {
		if f.Managers[i].Name == name {
			f.Managers[i].grow(len(f.Managers[i].Rows) + 1)
		}
	}
}

// orderBody is the body of POST /requests.
type orderBody struct {
	Repo            string                      `json:"repo"`
	Ref             string                      `json:"ref"`
	PackageManagers []string                    `json:"pkg_managers"`
	Packages        map[string][]map[string]any `json:"packages,omitempty"`
	Flags           []string                    `json:"flags,omitempty"`
	Replacements    []map[string]string         `json:"dependency_replacements,omitempty"`
	User            string                      `json:"user,omitempty"`
}

// order is what the form says, for the API to judge. Only what no order can say is refused here; field tells
// where it is.
func (f *orderForm) order() (_ orderBody, field string, _ error) {
	if f.Repo == "" {
		return orderBody{}, "repo", errors.New("Say which repository it is") //nolint:staticcheck // shown as it is
	}
	o := orderBody{Repo: f.Repo, Ref: f.Ref, User: f.User, PackageManagers: []string{}}
	for _, m := range f.Managers {
		if !m.Checked {
			continue
		}
		o.PackageManagers = append(o.PackageManagers, m.Name)
		if entries := m.entries(); len(entries) > 0 {
			if o.Packages == nil {
				o.Packages = map[string][]map[string]any{}
			}
			o.Packages[m.Name] = entries
		}
	}
	for _, flag := range f.Flags {
		if flag.Checked {
			o.Flags = append(o.Flags, flag.Name)
		}
	}
	for _, r := range f.Replacements {
		if r.Name == "" && r.Version == "" && r.NewName == "" {
			continue
		}
		entry := map[string]string{"name": r.Name, "type": r.Type, "version": r.Version}
		if r.NewName != "" {
			entry["new_name"] = r.NewName
		}
		o.Replacements = append(o.Replacements, entry)
	}
	return o, "", nil
}

// entries of packages.<name>. A row without any value is left out: whoever wants the root beside other paths
// writes ".".
func (m managerField) entries() []map[string]any {
	var entries []map[string]any
	for _, row := range m.Rows {
		entry := map[string]any{}
		values := row.Values
		for _, o := range m.Options {
			if o.Properties == nil {
				if v := values[0]; v.Text != "" {
					entry[o.Name] = v.Text
					if o.List {
						entry[o.Name] = lines(v.Text)
					}
				}
				values = values[1:]
				continue
			}
			object := map[string]any{}
			for i, property := range o.Properties {
				if text := values[i].Text; text != "" {
					object[property] = scalar(text)
				}
			}
			if len(object) > 0 {
				entry[o.Name] = object
			}
			values = values[len(o.Properties):]
		}
		if len(entry) > 0 {
			entries = append(entries, entry)
		}
	}
	return entries
}

// lines are the texts of a field that has one a line.
func lines(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// scalar is an integer if it looks like one, else a string.
func scalar(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return text
}

// fill takes over what a request was ordered with. Managers and flags that are not enabled any more are left
// out.
func (f *orderForm) fill(req request.Request) error {
	f.Repo, f.Ref = withoutUser(req.Repo), req.Ref
	for i := range f.Flags {
		f.Flags[i].Checked = slices.Contains(req.Flags, f.Flags[i].Name)
	}
	for i := range f.Managers {
		m := &f.Managers[i]
		m.Checked = slices.Contains(req.PackageManagers, m.Name)
		raw := req.Packages[m.Name]
		if len(raw) == 0 {
			continue
		}
		var entries []map[string]any
		if err := json.Unmarshal(raw, &entries); err != nil {
			return fmt.Errorf("options of %s: %w", m.Name, err)
		}
		m.grow(len(entries))
		for n := range min(len(entries), len(m.Rows)) {
			for v := range m.Rows[n].Values {
				value := &m.Rows[n].Values[v]
				value.Text = textOf(entries[n], strings.Split(value.Label, "."))
			}
		}
	}
	for i, r := range req.Replacements {
		if i < maxRows {
			f.Replacements = append(f.Replacements, replacementRow{i, r.Name, r.Type, r.Version, r.NewName})
		}
	}
	return nil
}

// textOf is a value of an entry as its field shows it.
func textOf(entry map[string]any, path []string) string {
	value := entry[path[0]]
	if object, ok := value.(map[string]any); ok && len(path) > 1 {
		value = object[path[1]]
	}
	switch value := value.(type) {
	case nil:
		return ""
	case []any:
		texts := make([]string, 0, len(value))
		for _, line := range value {
			texts = append(texts, fmt.Sprint(line))
		}
		return strings.Join(texts, "\n")
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}

// More tells whether anything is set of what is folded away.
func (f *orderForm) More() bool {
	return len(f.Replacements) > 0 || f.User != "" || f.Errors["replacements"] != "" || f.Errors["user"] != "" || f.Errors["flags"] != "" ||
		slices.ContainsFunc(f.Flags, func(flag flagField) bool { return flag.Checked })
}

// Open tells whether a manager's paths are shown: it is asked for more than its root, or they are wrong.
func (f *orderForm) Open(m managerField) bool {
	return len(m.Rows) > 1 || len(m.entries()) > 0 || f.Errors["manager-"+m.Name] != ""
}

// Wrong is what is wrong with a field.
func (f *orderForm) Wrong(field string) string { return f.Errors[field] }
