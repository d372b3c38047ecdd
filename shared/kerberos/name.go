package kerberos

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jcmturner/gokrb5/v8/types"
)

// maxNameBytes is how long a user's name may be, its realm and escapes included.
const maxNameBytes = 1024

// principal is a name and its realm.
type principal struct {
	components []string
	realm      string
}

// escapes are those of krb5_unparse_name, so that no two principals have the same text: without them
// ("a/b") and ("a", "b") would be one, and so would ("a@B") in realm C and ("a") in a realm "B@C".
var escapes = strings.NewReplacer(`\`, `\\`, `/`, `\/`, `@`, `\@`)

// String prints the principal as "primary/instance@REALM".
func (p principal) String() string {
	var b strings.Builder
	for i, c := range p.components {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(escapes.Replace(c))
	}
	return b.String() + "@" + escapes.Replace(p.realm)
}

// userName is the text by which a client is known. A name that could not be told from another one on a
// page or in a log is refused: what is not printable, not UTF-8, empty or very long.
func userName(name types.PrincipalName, realm string) (string, error) {
	p := principal{name.NameString, realm}
	if len(p.components) == 0 || realm == "" {
		return "", fmt.Errorf("the ticket's client %q of realm %q is no name", p.components, realm)
	}
	for _, part := range append([]string{realm}, p.components...) {
		if part == "" || !utf8.ValidString(part) || strings.ContainsFunc(part, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return "", fmt.Errorf("the ticket's client %q of realm %q is no printable name", p.components, realm)
		}
	}
	text := p.String()
	if len(text) > maxNameBytes {
		return "", fmt.Errorf("the ticket's client has a name of %d bytes, more than %d", len(text), maxNameBytes)
	}
	return text, nil
}
