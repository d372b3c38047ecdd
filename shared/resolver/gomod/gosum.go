package gomod

import (
	"strings"

	"golang.org/x/mod/module"
)

// sums are the modules whose zip a go.sum file holds a hash of.
type sums map[module.Version]bool

// addGoSum reads lines "path version[/go.mod] h1:hash"; as go does, it accepts empty lines and passes
// over what is no such line (go itself judges the file).
func (s sums) addGoSum(text string) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) != 3 || !strings.HasPrefix(words[2], "h1:") || strings.HasSuffix(words[1], "/go.mod") {
			continue
		}
		s[module.Version{Path: words[0], Version: words[1]}] = true
	}
}
