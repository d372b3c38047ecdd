package pip

import (
	"regexp"
	"strings"
)

var (
	// commentPattern is pip's: a "#" at the beginning or behind white space.
	commentPattern     = regexp.MustCompile(`(?:^|\s)#.*$`)
	commentLinePattern = regexp.MustCompile(`^\s*#`)
)

// logicalLines makes the lines of a requirements file as pip does: a line that ends in a backslash goes on
// in the next one, unless it is a comment; comments, surrounding white space and empty lines are gone.
func logicalLines(text string) []string {
	text = strings.TrimPrefix(text, "\ufeff")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	var lines []string
	var open strings.Builder
	keep := func(line string) {
		if line = strings.TrimSpace(commentPattern.ReplaceAllString(line, "")); line != "" {
			lines = append(lines, line)
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		isComment := commentLinePattern.MatchString(line)
		switch {
		case strings.HasSuffix(line, `\`) && !isComment:
			open.WriteString(strings.Trim(line, `\`))
			continue
		case isComment:
			line = " " + line // so that it is one behind what went before, too
		}
		open.WriteString(line)
		keep(open.String())
		open.Reset()
	}
	keep(open.String()) // the last line may end in a backslash
	return lines
}
