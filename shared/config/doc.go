package config

import (
	"fmt"
	"slices"
	"strings"
)

// Setting documents one setting.
type Setting struct {
	Name    string
	Group   string
	Default string // "" = not set
	Meaning string // one or two sentences; words in backquotes are values
}

// Doc lists every setting in the order of the documentation, groups together.
func Doc() []Setting {
	docs := make([]Setting, 0, len(settings))
	for _, s := range settings {
		docs = append(docs, Setting{Name: s.name, Group: s.group, Default: s.fallback, Meaning: s.meaning})
	}
	return docs
}

// prefix of our settings; a few have names of their own, as upstream or OpenTelemetry has them.
const prefix = "CACHITO_"

// Unknown are the names in environ (os.Environ) that look like settings and are none, sorted: misspelt, or of another
// version. others are names that something else reads.
func Unknown(environ []string, others ...string) []string {
	known := map[string]bool{}
	for _, s := range settings {
		known[s.name] = true
	}
	for _, name := range others {
		known[name] = true
	}
	var names []string
	for _, variable := range environ {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, prefix) && !known[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Markdown is docs/settings.md: Doc as tables, one for each group.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Settings\n\nMade from shared/config by `make golden`; do not edit. `cachito settings` prints the same.\n\n" +
		"All settings are environment variables; an empty one counts as not set. Lists are written `a,b` or as a JSON array.\n" +
		"A wrong value stops the start with the setting's name and what was expected;\n" +
		"of a name that begins with `CACHITO_` and is no setting `cachito serve` warns.\n" +
		"On AWS a setting that names a file may name a secret of Secrets Manager instead: `secret:` and its name or ARN.\n")
	group := ""
	for _, s := range Doc() {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n## %s\n\n| setting | default | meaning |\n|---|---|---|\n", group)
		}
		value := ""
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Name, value, strings.ReplaceAll(s.Meaning, "|", `\|`))
	}
	return b.String()
}
