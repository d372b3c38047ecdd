package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// errForeignOrigin refuses what another site made a browser send.
var errForeignOrigin = &httpError{http.StatusForbidden, "A page of another site made your browser send this. It was refused, because it would have been done with your rights"}

// trustedOrigins tells apart what our own pages make a browser send from what others do. Browsers add
// credentials by themselves (Kerberos, client certificates, a proxy's session), so the identity of a call
// alone does not tell whose wish it is. Programs send neither Sec-Fetch-Site nor Origin, and pass.
func trustedOrigins(publicURL string) (*http.CrossOriginProtection, error) {
	p := http.NewCrossOriginProtection()
	if publicURL == "" {
		return p, nil
	}
	u, err := url.Parse(publicURL)
	if err != nil {
		return nil, fmt.Errorf("public URL %q: %w", publicURL, err)
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme { // browsers leave the usual port out
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	if err := p.AddTrustedOrigin(scheme + "://" + host); err != nil {
		return nil, fmt.Errorf("public URL %q: %w", publicURL, err)
	}
	return p, nil
}

// checkOrigin refuses calls that change something and come from another site's page. Behind a trusted
// proxy our own site is the host that the proxy was addressed by.
func (c *call) checkOrigin() error {
	r := c.r
	if host := c.hostFor(r); host != r.Host {
		outer := *r
		outer.Host = host
		r = &outer
	}
	if c.origins.Check(r) != nil {
		return errForeignOrigin
	}
	return nil
}
