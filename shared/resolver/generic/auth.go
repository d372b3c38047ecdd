package generic

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// auth is what version 2.0 of the lockfile may say of an artifact: exactly one of the two.
type auth struct {
	Basic  *struct{ Username, Password string }
	Bearer *struct {
		Header *string // "Authorization" when it is missing
		Value  string
	}
}

// variable is a reference to the environment. Hermeto runs in the user's own; a service has none that the repository may
// know, and would send its secrets to whatever host the lockfile names.
var variable = regexp.MustCompile(`\$(?:[A-Za-z_]|\{)`)

// secretHeader are the names of headers that a lockfile may set: they carry credentials, so that redirects to other hosts
// drop them.
var secretHeader = regexp.MustCompile(`(?i)^[a-z0-9-]*(?:auth|token|api-key)[a-z0-9-]*$`)

// header are the credentials that stand in the lockfile itself. byHost: it refers to the environment, so that those apply
// that the server has for the artifact's host.
func (a *auth) header() (h http.Header, byHost bool, err error) {
	if (a.Basic == nil) == (a.Bearer == nil) {
		return nil, false, errors.New("'auth' must have either 'basic' or 'bearer'")
	}
	if b := a.Basic; b != nil {
		if variable.MatchString(b.Username) || variable.MatchString(b.Password) {
			return nil, true, nil
		}
		if strings.Contains(b.Username, ":") {
			return nil, false, errors.New("'auth.basic.username' has a colon")
		}
		return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(b.Username+":"+b.Password))}}, false, nil
	}
	name := "Authorization"
	if a.Bearer.Header != nil {
		name = *a.Bearer.Header
	}
	switch {
	case variable.MatchString(a.Bearer.Value):
		return nil, true, nil
	case !secretHeader.MatchString(name):
		return nil, false, fmt.Errorf("'auth.bearer.header' is no header for credentials: %.100q", name)
	case a.Bearer.Value == "" || strings.ContainsFunc(a.Bearer.Value, func(c rune) bool { return c < ' ' || c > '~' }):
		return nil, false, errors.New("'auth.bearer.value' is missing or has characters that a header cannot have")
	}
	return http.Header{http.CanonicalHeaderKey(name): {a.Bearer.Value}}, false, nil
}
