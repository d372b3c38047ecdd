package fetch

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// outProxies chooses the proxy for a URL by HTTPS_PROXY, HTTP_PROXY and NO_PROXY. (The choice of
// net/http reads the process's environment, once; ours comes from the settings.)
type outProxies struct {
	https, http *url.URL
	all         bool // NO_PROXY=*
	networks    []netip.Prefix
	hosts       []string // "host", ".domain" or "host:port", lower case
}

func newOutProxies(s Settings) (*outProxies, error) {
	p := &outProxies{}
	for _, one := range []struct {
		text string
		to   **url.URL
	}{{s.HTTPSProxy, &p.https}, {s.HTTPProxy, &p.http}} {
		if one.text == "" {
			continue
		}
		u, err := url.Parse(one.text)
		if err != nil || !isHTTP(u.Scheme) || u.Host == "" {
			return nil, fmt.Errorf("proxy: want an http or https URL, got %q", Redact(one.text))
		}
		*one.to = u
	}
	for _, word := range strings.FieldsFunc(s.NoProxy, func(r rune) bool { return r == ',' || r == ' ' }) {
		word = strings.ToLower(word)
		if word == "*" {
			p.all = true
		} else if n, err := netip.ParsePrefix(word); err == nil {
			p.networks = append(p.networks, n)
		} else if a, err := netip.ParseAddr(strings.Trim(word, "[]")); err == nil {
			p.networks = append(p.networks, netip.PrefixFrom(a, a.BitLen()))
		} else {
			p.hosts = append(p.hosts, strings.TrimPrefix(word, "*"))
		}
	}
	return p, nil
}

// choose returns the proxy for u; nil: none. As everywhere, loopback is reached without one.
func (p *outProxies) choose(u *url.URL) (*url.URL, error) {
	proxy := p.http
	if u.Scheme == "https" {
		proxy = p.https
	}
	if proxy == nil || p.all {
		return nil, nil
	}
	host := normalHost(u.Hostname())
	if host == "localhost" {
		return nil, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Unmap().IsLoopback() {
			return nil, nil
		}
		for _, n := range p.networks {
			if n.Contains(a.Unmap()) {
				return nil, nil
			}
		}
	}
	for _, h := range p.hosts {
		if h == host || h == hostPort(u) || strings.HasSuffix(host, "."+strings.TrimPrefix(h, ".")) {
			return nil, nil
		}
	}
	return proxy, nil
}

// addresses of the proxies, which the guard does not check.
func (p *outProxies) addresses() []string {
	var out []string
	for _, u := range []*url.URL{p.https, p.http} {
		if u != nil {
			out = append(out, hostPort(u))
		}
	}
	return out
}
