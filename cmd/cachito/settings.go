package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/cachito-serverless/cachito/shared/config"
)

type settingsCmd struct {
	Markdown bool `name:"markdown" help:"Print docs/settings.md."`
}

// Help adds examples.
func (settingsCmd) Help() string {
	return `Settings are environment variables of serve and fetch.

Examples:
  cachito settings
  CACHITO_LISTEN=:8080 CACHITO_PACKAGE_MANAGERS=gomod cachito serve`
}

// Run prints the list.
func (c settingsCmd) Run(stdout io.Writer) error {
	if c.Markdown {
		_, err := io.WriteString(stdout, config.Markdown())
		return err
	}
	group := ""
	for _, s := range config.Doc() {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(stdout, "\n%s\n", group)
		}
		fmt.Fprintf(stdout, "\n  %s\n", strings.TrimSuffix(s.Name+"="+s.Default, "="))
		for _, line := range wrap(s.Meaning, 90) {
			fmt.Fprintf(stdout, "      %s\n", line)
		}
	}
	return nil
}

// wrap breaks text between words into lines of at most width bytes.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
