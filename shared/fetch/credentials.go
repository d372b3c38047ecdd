package fetch

import (
	"bufio"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode"
)

// MaxCredentialsBytes bounds a netrc or token file.
const MaxCredentialsBytes = 1 << 20

// Credentials are what the deployment may show to other hosts. The zero value holds none.
type Credentials struct {
	// Netrc entries by machine: "host" or "host:port"; the first of equal ones counts.
	Netrc []Machine
	// Bearer tokens by "host" or "host:port". They win over Netrc.
	Bearer map[string]string
}

// String tells how many there are, and no secret, whatever verb prints it.
func (c Credentials) String() string {
	return fmt.Sprintf("credentials of %d machines and %d bearer tokens", len(c.Netrc), len(c.Bearer))
}

// GoString is String.
func (c Credentials) GoString() string { return c.String() }

// Machine is an entry of a netrc file.
type Machine struct {
	Name     string // lower case; empty: the default entry
	Login    string
	Password string
}

// String names the machine only.
func (m Machine) String() string {
	if m.Name == "" {
		return "default"
	}
	return m.Name
}

// GoString is String.
func (m Machine) GoString() string { return m.String() }

// LoadCredentials reads a netrc file and a file of bearer tokens; an empty name means none.
func LoadCredentials(netrcFile, bearerFile string) (Credentials, error) {
	var c Credentials
	if netrcFile != "" {
		f, err := os.Open(netrcFile)
		if err != nil {
			return c, fmt.Errorf("reading the netrc file: %w", err)
		}
		defer f.Close()
		if c.Netrc, err = ParseNetrc(f); err != nil {
			return Credentials{}, fmt.Errorf("reading %s: %w", netrcFile, err)
		}
	}
	if bearerFile != "" {
		f, err := os.Open(bearerFile)
		if err != nil {
			return c, fmt.Errorf("reading the file of bearer tokens: %w", err)
		}
		defer f.Close()
		if c.Bearer, err = ParseBearerTokens(f); err != nil {
			return Credentials{}, fmt.Errorf("reading %s: %w", bearerFile, err)
		}
	}
	return c, nil
}

// ParseBearerTokens reads lines "host token" or "host:port token"; empty lines and those that begin
// with # are skipped.
func ParseBearerTokens(r io.Reader) (map[string]string, error) {
	tokens := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(r, MaxCredentialsBytes))
	lines.Buffer(nil, MaxCredentialsBytes+1)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: want a host and a token, got %d words", n, len(fields))
		}
		tokens[normalHost(fields[0])] = fields[1]
	}
	return tokens, lines.Err()
}

// ParseNetrc reads the netrc format: machine, default, login, password, account and macdef (skipped
// to the next empty line). A value in double quotes may hold blanks, \" and \\. The format is that of
// curl and of Python's netrc module. Errors name the line and never what stands there.
func ParseNetrc(r io.Reader) ([]Machine, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxCredentialsBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxCredentialsBytes {
		return nil, fmt.Errorf("larger than %d bytes", MaxCredentialsBytes)
	}
	t := netrcTokens{rest: string(text), line: 1}
	var machines []Machine
	current := func() *Machine {
		if len(machines) == 0 {
			return nil
		}
		return &machines[len(machines)-1]
	}
	for {
		word, ok, err := t.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return machines, nil
		}
		switch word {
		case "machine":
			name, err := t.value(word)
			if err != nil {
				return nil, err
			}
			if name = normalHost(name); name == "" {
				return nil, fmt.Errorf("line %d: the machine has no name", t.line)
			}
			machines = append(machines, Machine{Name: name})
		case "default":
			machines = append(machines, Machine{})
		case "macdef":
			t.skipMacro()
		case "login", "user", "password", "account":
			value, err := t.value(word)
			if err != nil {
				return nil, err
			}
			m := current()
			if m == nil {
				return nil, fmt.Errorf("line %d: %s stands before the first machine", t.line, word)
			}
			switch word {
			case "login", "user":
				m.Login = value
			case "password":
				m.Password = value
			}
		default:
			return nil, fmt.Errorf("line %d: want machine, default, login, password, account or macdef", t.line)
		}
	}
}

type netrcTokens struct {
	rest string
	line int
}

func (t *netrcTokens) next() (string, bool, error) {
	for {
		t.skipBlanks()
		if !strings.HasPrefix(t.rest, "#") {
			break
		}
		_, t.rest, _ = strings.Cut(t.rest, "\n")
		t.line++
	}
	if t.rest == "" {
		return "", false, nil
	}
	return t.word()
}

// value reads a word that may begin with #, as passwords do.
func (t *netrcTokens) value(of string) (string, error) {
	t.skipBlanks()
	if t.rest == "" {
		return "", fmt.Errorf("line %d: %s has no value", t.line, of)
	}
	word, _, err := t.word()
	return word, err
}

func (t *netrcTokens) skipBlanks() {
	trimmed := strings.TrimLeftFunc(t.rest, unicode.IsSpace)
	t.line += strings.Count(t.rest[:len(t.rest)-len(trimmed)], "\n")
	t.rest = trimmed
}

func (t *netrcTokens) word() (string, bool, error) {
	if t.rest[0] != '"' {
		end := strings.IndexFunc(t.rest, unicode.IsSpace)
		if end < 0 {
			end = len(t.rest)
		}
		word := t.rest[:end]
		t.rest = t.rest[end:]
		return word, true, nil
	}
	var b strings.Builder
	for i := 1; i < len(t.rest); i++ {
		switch c := t.rest[i]; c {
		case '\\':
			if i+1 < len(t.rest) {
				i++
				b.WriteByte(t.rest[i])
			}
		case '\n':
			return "", false, fmt.Errorf("line %d: a quoted value does not end", t.line)
		case '"':
			t.rest = t.rest[i+1:]
			return b.String(), true, nil
		default:
			b.WriteByte(c)
		}
	}
	return "", false, fmt.Errorf("line %d: a quoted value does not end", t.line)
}

func (t *netrcTokens) skipMacro() {
	body, rest, _ := strings.Cut(strings.ReplaceAll(t.rest, "\r\n", "\n"), "\n\n")
	t.line += strings.Count(body, "\n") + 2
	t.rest = rest
}

// credential is one way to authenticate; name identifies it without its secret.
type credential struct {
	name   string
	header string // value of Authorization
	user   *url.Userinfo
}

func (c Credentials) lookup(u *url.URL) (credential, bool) {
	full, host := hostPort(u), normalHost(u.Hostname())
	for _, key := range []string{full, host} {
		if token, ok := c.Bearer[key]; ok {
			return credential{name: "bearer:" + key, header: "Bearer " + token}, true
		}
	}
	for _, key := range []string{full, host, ""} {
		for _, m := range c.Netrc {
			if m.Name != key {
				continue
			}
			name := "netrc:" + m.String()
			if m.Login != "" {
				sum := sha256.Sum256([]byte(m.Login))
				name += ":" + hex.EncodeToString(sum[:6])
			}
			return credential{name: name, header: basic(m.Login, m.Password), user: url.UserPassword(m.Login, m.Password)}, true
		}
	}
	return credential{}, false
}

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

// CredentialName identifies the credential that a request for this URL would use, for cache keys:
// what was fetched with one credential is not served to a request with another, and removing an entry
// orphans what it fetched. It holds no secret; empty when there is none.
//
// User info in the URL is a credential of its own. Its name is a slow hash of user and password:
// whoever does not know them cannot name the cached copy.
func (c *Client) CredentialName(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	target, mirror := c.mirrored(u)
	if Login(u) != nil && mirror == nil {
		key, err := pbkdf2.Key(sha256.New, u.User.String(), []byte("cachito userinfo "+hostPort(u)), userInfoRounds, 16)
		if err != nil {
			return "" // only for impossible lengths
		}
		return "userinfo:" + hex.EncodeToString(key)
	}
	cred, _ := c.settings.Credentials.lookup(target)
	return cred.name
}

const userInfoRounds = 100_000

// Login is the user info of an HTTP URL that is to be sent; nil when there is none. The user "git" alone is what
// is left of an ssh URL: it is nobody's login, and a host may refuse it where it lets anybody read.
func Login(u *url.URL) *url.Userinfo {
	if u.User != nil && u.User.String() == "git" && strings.HasPrefix(u.Scheme, "http") {
		return nil
	}
	return u.User
}

// UserInfo is the login and password that the configuration has for a host, for protocols that are
// not HTTP; ok is false when there is none.
func (c *Client) UserInfo(u *url.URL) (user *url.Userinfo, ok bool) {
	cred, ok := c.settings.Credentials.lookup(u)
	return cred.user, ok && cred.user != nil
}
