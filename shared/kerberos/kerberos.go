// Package kerberos accepts the Kerberos tickets that HTTP's "Negotiate" scheme carries (RFC 4559, 4178,
// 4121, 4120): it reads the token, decrypts the ticket with a key of the keytab, checks all that makes it
// good here and now, remembers it so that it counts once, and proves in turn to the client that this is
// the service it meant (mutual authentication).
//
// gokrb5 decodes and decrypts. Its own judgement (service.VerifyAPREQ, v8.4.4) is not used: it takes the
// user's realm from what the client wrote and not from the ticket, takes tickets for any service of the
// keytab, and its replay cache lets two equal tokens pass that come together, and forgets one while it
// is still good.
//
// It knows nothing of HTTP, and asks no server: a ticket holds everything.
package kerberos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jcmturner/gokrb5/v8/types"
)

// MaxTokenBytes is the largest token that is looked at: Windows' MaxTokenSize, which a ticket with very
// many groups in it comes close to.
const MaxTokenBytes = 48_000

// DefaultMaxSkew is what clocks may differ by, as in every Kerberos implementation.
const DefaultMaxSkew = 5 * time.Minute

// HTTPService begins the principals of web services: HTTP/host@REALM.
const HTTPService = "HTTP"

// Settings are what an operator decides.
type Settings struct {
	// Service is the only principal that tickets may be for, "HTTP/host@REALM" or "HTTP/host"; empty:
	// each principal of the keytab that begins with "HTTP/".
	Service string
	// Realms that users may be of; empty: each one that the service's own KDC vouches for.
	Realms []string
	// MaxSkew is what the client's clock and the KDC's may differ from ours by; 0: DefaultMaxSkew.
	MaxSkew time.Duration
	// Clock is the time; nil: time.Now.
	Clock func() time.Time
}

// Acceptor judges tokens. It is safe for concurrent use.
type Acceptor struct {
	keytab   *Keytab
	services []principal
	realms   []string
	skew     time.Duration
	clock    func() time.Time
	replays  replays
}

// New makes an acceptor. It fails when the keytab has no key for the service, and names those that it has.
func New(keytab *Keytab, s Settings) (*Acceptor, error) {
	a := &Acceptor{keytab: keytab, realms: s.Realms, skew: s.MaxSkew, clock: s.Clock}
	if a.skew <= 0 {
		a.skew = DefaultMaxSkew
	}
	if a.clock == nil {
		a.clock = time.Now
	}
	want := "a principal that begins with HTTP/"
	if s.Service != "" {
		want = s.Service
	}
	for _, p := range keytab.principals {
		switch name := p.String(); {
		case s.Service == "" && p.components[0] == HTTPService && len(p.components) > 1,
			s.Service == name, s.Service == strings.TrimSuffix(name, "@"+p.realm):
			a.services = append(a.services, p)
		}
	}
	if len(a.services) == 0 {
		return nil, fmt.Errorf("the keytab has no key of %s; it has keys of %s", want, keytab)
	}
	return a, nil
}

// Services are the principals that tickets may be for, for example "HTTP/cachito.example.com@EXAMPLE.COM".
func (a *Acceptor) Services() []string {
	var names []string
	for _, p := range a.services {
		names = append(names, p.String())
	}
	return names
}

// Accept judges a token as a client sent it, base64 undone. remote is the client's address, with or without a
// port; it matters for tickets that are bound to addresses only.
//
// user is the client's principal with its realm, "tbrady@EXAMPLE.COM", and answer is what the client is to
// be sent; there may be none. An error is a refusal, always: its text is for the log, and user is empty
// then. No token makes Accept panic.
func (a *Acceptor) Accept(token []byte, remote string) (user string, answer []byte, err error) {
	defer func() {
		// gokrb5 indexes into what it decodes without looking first: empty names, short cipher texts.
		if p := recover(); p != nil {
			user, err = "", fmt.Errorf("the token cannot be read: %v", p)
		}
		if err != nil {
			answer = rejection()
		}
	}()
	t, err := parseToken(token)
	if err != nil {
		return "", nil, err
	}
	user, err = a.check(&t.request, remote)
	if err != nil {
		return "", nil, err
	}
	answer, err = t.answer()
	if err != nil {
		return "", nil, fmt.Errorf("answering %s: %w", user, err)
	}
	return user, answer, nil
}

// serves finds out whether tickets for this principal are taken.
func (a *Acceptor) serves(name types.PrincipalName, realm string) bool {
	return slices.ContainsFunc(a.services, func(p principal) bool {
		return p.realm == realm && slices.Equal(p.components, name.NameString)
	})
}

var errAnonymous = errors.New("the ticket is anonymous")
