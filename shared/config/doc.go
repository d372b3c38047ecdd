package config

import (
	"fmt"
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

// Markdown is docs/settings.md: Doc as tables, one for each group.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Settings\n\nMade from shared/config by `make golden`; do not edit. `cachito settings` prints the same.\n\n" +
		"All settings are environment variables; an empty one counts as not set. Lists are written `a,b` or as a JSON array.\n" +
		"A wrong value stops the start with the setting's name and what was expected.\n" +
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
