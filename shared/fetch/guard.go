package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// refused address ranges beside those that netip names itself. The documentation range 203.0.113.0/24
// is not among them: it is nobody's, and stands for "unreachable" in tests.
var refusedRanges = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignment"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relay"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmark"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"}, // with the broadcast address
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
}

// embedded: IPv6 ranges that carry an IPv4 address, and where in the address it lies.
var embedded = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},   // NAT64, RFC 6052
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12}, // local NAT64, RFC 8215
	{netip.MustParsePrefix("2002::/16"), 2},       // 6to4
	{netip.MustParsePrefix("::/96"), 12},          // IPv4-compatible
}

// refusal says why an address is refused; empty: it is public.
func refusal(a netip.Addr) string {
	a = a.WithZone("").Unmap()
	switch {
	case !a.IsValid():
		return "no"
	case a.IsUnspecified():
		return "unspecified"
	case a.IsLoopback():
		return "loopback"
	case a.IsPrivate(): // with IPv6's unique local addresses, and their metadata service
		return "private"
	case a.IsLinkLocalUnicast():
		return "link-local or metadata"
	case a.IsMulticast(), a.IsInterfaceLocalMulticast(), a.IsLinkLocalMulticast():
		return "multicast"
	}
	for _, r := range refusedRanges {
		if r.prefix.Contains(a) {
			return r.what
		}
	}
	if a.Is6() {
		raw := a.As16()
		for _, e := range embedded {
			if e.prefix.Contains(a) {
				return refusal(netip.AddrFrom4([4]byte(raw[e.at : e.at+4])))
			}
		}
	}
	return ""
}

// guard dials only addresses that may be reached.
type guard struct {
	allowed map[string]bool // "host" or "host:port"
	proxies map[string]bool // "host:port" of our own proxies
	connect time.Duration
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

func newGuard(allow, proxies []string, connect time.Duration) *guard {
	g := &guard{allowed: map[string]bool{}, proxies: map[string]bool{}, connect: connect}
	for _, h := range allow {
		host, port, err := net.SplitHostPort(h)
		if err != nil || port == "" {
			g.allowed[normalHost(h)] = true
			continue
		}
		g.allowed[normalHost(host)+":"+port] = true
	}
	for _, p := range proxies {
		g.proxies[p] = true
	}
	g.resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	return g
}

func (g *guard) allows(host, port string) bool {
	host = normalHost(host)
	return g.allowed[host] || g.allowed[host+":"+port]
}

// dial connects to addr ("host:port") unless its address is refused. The check is made on the
// address that is dialled, so a name that resolves differently the second time gains nothing.
func (g *guard) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return g.dialChecked(ctx, network, addr, false)
}

// dialHTTP is dial for the HTTP transport, which also asks for our own proxies.
func (g *guard) dialHTTP(ctx context.Context, network, addr string) (net.Conn, error) {
	return g.dialChecked(ctx, network, addr, true)
}

func (g *guard) dialChecked(ctx context.Context, network, addr string, proxies bool) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dialling %q: %w", addr, err)
	}
	d := net.Dialer{Timeout: g.connect, KeepAlive: 30 * time.Second}
	free := g.allows(host, port) || proxies && g.proxies[normalHost(host)+":"+port]
	d.Control = func(network, address string, _ syscall.RawConn) error {
		if !strings.HasPrefix(network, "tcp") {
			return &RefusedError{URL: addr, Reason: "network " + network}
		}
		if free {
			return nil
		}
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return &RefusedError{URL: addr, Reason: "its address cannot be read"}
		}
		return g.check(host, port, ap.Addr())
	}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		// A name with several addresses fails with the first one's error; ours says more.
		var refused *RefusedError
		if errors.As(err, &refused) {
			return nil, refused
		}
		return nil, err
	}
	return conn, nil
}

func (g *guard) check(host, port string, a netip.Addr) error {
	if why := refusal(a); why != "" {
		return &RefusedError{
			URL:    net.JoinHostPort(host, port),
			Reason: fmt.Sprintf("%s is a %s address (%s); only public addresses are allowed, and hosts that the operator's settings name", host, why, a),
		}
	}
	return nil
}

// checkBehindProxy is the check for targets that a proxy will dial: of literal addresses, and of
// names as far as they resolve here.
func (g *guard) checkBehindProxy(ctx context.Context, host, port string) error {
	if g.allows(host, port) {
		return nil
	}
	if normalHost(host) == "localhost" || strings.HasSuffix(normalHost(host), ".localhost") {
		return g.check(host, port, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return g.check(host, port, a)
	}
	ctx, cancel := context.WithTimeout(ctx, g.connect)
	defer cancel()
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil // names that only the proxy can resolve are the proxy's to check
	}
	for _, a := range addrs {
		if err := g.check(host, port, a); err != nil {
			return err
		}
	}
	return nil
}

// DialContext is a guarded dialler for other protocols (ssh, git): TCP to public addresses and to
// Settings.AllowHosts. It uses no proxy.
func (c *Client) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return c.guard.dial(ctx, network, addr)
}
