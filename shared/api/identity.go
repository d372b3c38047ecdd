package api

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxUserBytes is how long the name of a user may be, a certificate's subject for instance.
const MaxUserBytes = 1024

// negotiate is the scheme in which tickets come (RFC 4559).
const negotiate = "Negotiate"

// Negotiator judges Kerberos tickets.
type Negotiator interface {
	// Accept judges the token of an "Authorization: Negotiate" header, base64 undone, from the client at
	// remote (address and port). It gives the user's name, and what the client is to be told in turn, which
	// may be nothing. An error is a refusal, whose text goes to the log. It is safe for concurrent use.
	Accept(token []byte, remote string) (user string, answer []byte, err error)
}

// login finds out who calls, and whether that is enough for the route. Reading is open to everyone, so
// that nothing a caller says of itself keeps it from reading.
func (c *call) login() error {
	user, err := c.identity()
	if !c.route.login {
		if err == nil {
			c.user = user
		}
		return nil
	}
	if err != nil {
		return err
	}
	c.user = user
	if user == "" && !c.LoginDisabled {
		return c.challenge("")
	}
	if c.route.worker && user != "" && !slices.Contains(c.WorkerUsernames, user) {
		return &httpError{http.StatusForbidden, "This API endpoint is restricted to Cachito workers"}
	}
	return nil
}

// identity tells who calls: whoever the gateway says, else a name given by a trusted proxy; else whose Kerberos
// ticket it is; else the subject of a verified client certificate.
func (c *call) identity() (string, error) {
	var user string
	var err error
	if c.Identify != nil {
		user, err = checkUser("What the gateway calls the caller", c.Identify(c.r))
	} else {
		user, err = c.named()
	}
	if user != "" || err != nil {
		return user, err
	}
	if c.Negotiator != nil && c.route.login {
		if user, err = c.ticket(); user != "" || err != nil {
			return user, err
		}
	}
	if t := c.r.TLS; c.Identify == nil && t != nil && len(t.VerifiedChains) > 0 {
		return checkUser("The subject of the client certificate", subject(t.VerifiedChains[0][0].RawSubject))
	}
	return "", nil
}

// named is the name that a trusted proxy gives. Two of them are one too many: which one the proxy wrote,
// nobody can tell.
func (c *call) named() (string, error) {
	if c.IdentityHeader == "" || !c.fromProxy(c.r) {
		return "", nil
	}
	values := c.r.Header.Values(c.IdentityHeader)
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return checkUser("The header "+c.IdentityHeader, values[0])
	}
	return "", badRequest("The header %s was sent %d times", c.IdentityHeader, len(values))
}

// ticket is the user of the caller's Kerberos ticket. A ticket that is not accepted is refused also where
// nobody need log in: whoever sends one wants to be somebody.
func (c *call) ticket() (string, error) {
	values := c.r.Header.Values("Authorization")
	if len(values) > 1 {
		return "", badRequest("The header Authorization was sent %d times", len(values))
	}
	if len(values) == 0 {
		return "", nil
	}
	scheme, encoded, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, negotiate) {
		return "", nil
	}
	token, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", badRequest("The header Authorization holds no base64 after %q", negotiate)
	}
	user, answer, err := c.Negotiator.Accept(token, c.r.RemoteAddr)
	told := ""
	if len(answer) > 0 {
		told = " " + base64.StdEncoding.EncodeToString(answer)
	}
	if err != nil {
		c.log.InfoContext(c.r.Context(), "ticket refused", "remote", c.r.RemoteAddr, "error", err)
		return "", c.challenge(told)
	}
	if told != "" {
		c.w.Header().Set("WWW-Authenticate", negotiate+told)
	}
	return user, nil
}

// challenge is the answer to a caller who has to log in.
func (c *call) challenge(told string) error {
	if c.Negotiator != nil {
		c.w.Header().Set("WWW-Authenticate", negotiate+told)
	}
	return errUnauthorized
}

// checkUser refuses names that could not be told from others on a page, or would break what they are
// written into. Letters of any language are fine.
func checkUser(source, name string) (string, error) {
	switch {
	case len(name) > MaxUserBytes:
		return "", badRequest("%s has %d bytes, and a user name no more than %d", source, len(name), MaxUserBytes)
	case !utf8.ValidString(name), strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }), strings.TrimSpace(name) != name:
		return "", badRequest("%s is no user name: want printable UTF-8, without blanks around it", source)
	}
	return name, nil
}

// attributes are the short names of RFC 4514, 3, and the one that OpenSSL adds.
var attributes = map[string]string{
	"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.9": "STREET",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID", "1.2.840.113549.1.9.1": "emailAddress",
}

// subject prints a certificate's subject as RFC 4514 has it, the most specific part first:
//
//	CN=tbrady,OU=serviceusers,DC=domain,DC=local
//
// pkix.Name forgets the order of attributes and does not know DC. A subject that cannot be read is no
// identity.
func subject(raw []byte) string {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err != nil || len(rest) > 0 {
		return ""
	}
	var parts []string
	for _, set := range sequence {
		var values []string
		for _, a := range set {
			name, known := attributes[a.Type.String()]
			text, isText := a.Value.(string)
			switch {
			case known && isText:
				values = append(values, name+"="+escapeValue(text))
			default:
				der, err := asn1.Marshal(a.Value)
				if err != nil {
					return ""
				}
				values = append(values, a.Type.String()+"=#"+hex.EncodeToString(der))
			}
		}
		parts = append(parts, strings.Join(values, "+"))
	}
	slices.Reverse(parts)
	return strings.Join(parts, ",")
}

// escapeValue escapes an attribute's value (RFC 4514, 2.4).
func escapeValue(s string) string {
	var b strings.Builder
	for i, r := range s {
		first, last := i == 0, i == len(s)-1
		switch {
		case strings.ContainsRune(`,+"\<>;`, r), r == '#' && first, r == ' ' && (first || last):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\%02X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
