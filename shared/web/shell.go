package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/request"
)

// plainWord needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quote makes one word of a POSIX shell.
func quote(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// orderOf is the body that ordered a request. Without user info: it is nobody else's.
type orderOf struct {
	Repo            string                     `json:"repo"`
	Ref             string                     `json:"ref"`
	PackageManagers []string                   `json:"pkg_managers"`
	Packages        map[string]json.RawMessage `json:"packages,omitempty"`
	Flags           []string                   `json:"flags,omitempty"`
	Replacements    []request.Replacement      `json:"dependency_replacements,omitempty"`
}

// repeatLine is the line that sends the same request again.
func repeatLine(base string, req request.Request) (string, error) {
	body, err := asciiJSON(orderOf{withoutUser(req.Repo), req.Ref, append([]string{}, req.PackageManagers...), req.Packages, req.Flags, req.Replacements})
	if err != nil {
		return "", fmt.Errorf("body of request %d: %w", req.ID, err)
	}
	return fmt.Sprintf("curl %s -H 'Content-Type: application/json' \\\n  -d %s", quote(base+"/requests"), quote(body)), nil
}

func withoutUser(repo string) string {
	u, err := url.Parse(repo)
	if err != nil || u.User == nil {
		return repo
	}
	u.User = nil
	return u.String()
}

// asciiJSON is JSON in printable ASCII: what is copied has nothing that a terminal or an eye misreads.
func asciiJSON(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	var out strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		switch {
		case r < utf8.RuneSelf && r != 0x7f:
			out.WriteRune(r)
		case r >= 0x10000:
			a, b := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, a, b)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String(), nil
}
