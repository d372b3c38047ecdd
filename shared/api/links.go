package api

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// base is what every link begins with.
func (c *call) base() string { return c.baseFor(c.r) }

// baseFor is where the API is for the client of r. What a proxy says counts only as far as it makes sense.
func (s *server) baseFor(r *http.Request) string {
	if s.PublicURL != "" {
		return strings.TrimRight(s.PublicURL, "/") + Base
	}
	scheme, host, prefix := "http", s.hostFor(r), ""
	if r.TLS != nil {
		scheme = "https"
	}
	if s.TrustForwarded && s.fromProxy(r) {
		if v := forwarded(r, "X-Forwarded-Proto"); v == "http" || v == "https" {
			scheme = v
		}
		if v := strings.TrimRight(forwarded(r, "X-Forwarded-Prefix"), "/"); isPrefix(v) {
			prefix = v
		}
	}
	return scheme + "://" + host + prefix + Base
}

// hostFor is the host that the client of r addressed.
func (s *server) hostFor(r *http.Request) string {
	if s.TrustForwarded && s.fromProxy(r) {
		if v := forwarded(r, "X-Forwarded-Host"); isHost(v) {
			return v
		}
	}
	return r.Host
}

// fromProxy reports whether r came from somebody who may speak for its clients.
func (s *server) fromProxy(r *http.Request) bool {
	if len(s.TrustedProxies) == 0 {
		return true
	}
	ip, err := netip.ParseAddr(r.RemoteAddr)
	if withPort, portErr := netip.ParseAddrPort(r.RemoteAddr); portErr == nil {
		ip, err = withPort.Addr(), nil
	}
	return err == nil && slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(ip.Unmap().WithZone("")) })
}

// forwarded is the first value of a header that every proxy on the way adds to: the outermost one's.
func forwarded(r *http.Request, header string) string {
	first, _, _ := strings.Cut(r.Header.Get(header), ",")
	return strings.TrimSpace(first)
}

// isHost reports whether v is a host, with or without a port; url.Parse alone lets quotes and brackets pass.
func isHost(v string) bool {
	const also = ".-_:[]"
	odd := func(r rune) bool {
		return r > 'z' || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(also, r)
	}
	u, err := url.Parse("http://" + v)
	return err == nil && u.Host == v && u.Hostname() != "" && !strings.ContainsFunc(v, odd)
}

func isPrefix(v string) bool {
	u, err := url.Parse(v)
	return err == nil && strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "//") && u.EscapedPath() == v
}
