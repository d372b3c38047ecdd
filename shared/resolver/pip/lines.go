package pip

import (
	"iter"
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
func logicalLines(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		text = strings.TrimPrefix(text, "\ufeff")
		var open strings.Builder
		for text != "" || open.Len() > 0 {
			line, rest, more := cutLine(text)
			text = rest
			isComment := commentLinePattern.MatchString(line)
			if strings.HasSuffix(line, `\`) && !isComment && more {
				open.WriteString(strings.Trim(line, `\`))
				continue
			}
			switch {
			case isComment:
				line = " " + line // so that it is one behind what went before, too
			case !more:
				line = strings.Trim(line, `\`) // the last line may end in a backslash
			}
			open.WriteString(line)
			whole := strings.TrimSpace(commentPattern.ReplaceAllString(open.String(), ""))
			open.Reset()
			if whole != "" && !yield(whole) {
				return
			}
		}
	}
}

// cutLine takes the first line off a text; more says that something follows.
func cutLine(text string) (line, rest string, more bool) {
	at := strings.IndexAny(text, "\r\n")
	if at < 0 {
		return text, "", false
	}
	line, rest = text[:at], text[at+1:]
	if text[at] == '\r' {
		rest = strings.TrimPrefix(rest, "\n")
	}
	return line, rest, rest != ""
}
