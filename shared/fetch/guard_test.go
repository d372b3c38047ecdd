package fetch

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

func TestRefusal(t *testing.T) {
	for addr, public := range map[string]bool{
		"8.8.8.8": true, "203.0.113.7": true, "2606:4700::1": true, "64:ff9b::808:808": true, "172.32.0.1": true,
		"100.63.255.255": true, "::ffff:8.8.8.8": true, "192.0.1.1": true,
		"127.0.0.1": false, "127.255.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "10.1.2.3": false,
		"172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "198.18.0.1": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "192.0.0.192": false,
		"::": false, "::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false,
		"fec0::1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "64:ff9b::a9fe:a9fe": false,
		"2002:7f00:1::": false, "::127.0.0.1": false,
	} {
		if why := refusal(netip.MustParseAddr(addr)); (why == "") != public {
			t.Errorf("%s: refused as %q, want public: %v", addr, why, public)
		}
	}
	if refusal(netip.Addr{}) == "" {
		t.Error("no address at all passed")
	}
}

func TestAllowedHosts(t *testing.T) {
	g := newGuard([]string{"Git.Example", "127.0.0.1:8080", "[::1]:99", "::2"}, nil, time.Second)
	for _, tc := range []struct {
		host, port string
		want       bool
	}{
		{"git.example", "443", true},
		{"git.example.", "22", true},
		{"127.0.0.1", "8080", true},
		{"::1", "99", true},
		{"::2", "1", true},
		{"127.0.0.1", "8081", false},
		{"::1", "98", false},
		{"x.git.example", "443", false},
	} {
		if got := g.allows(tc.host, tc.port); got != tc.want {
			t.Errorf("%s port %s: got %v, want %v", tc.host, tc.port, got, tc.want)
		}
	}
}

func TestBehindProxy(t *testing.T) {
	g := newGuard(nil, nil, time.Second)
	g.resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
		switch host {
		case "inside.example":
			return []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("10.0.0.1")}, nil
		case "outside.example":
			return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
		}
		return nil, errors.New("no such host")
	}
	for host, want := range map[string]bool{
		"outside.example": true, "only-the-proxy-knows.example": true,
		"inside.example": false, "127.0.0.1": false, "localhost": false, "x.localhost": false, "169.254.169.254": false,
	} {
		if err := g.checkBehindProxy(t.Context(), host, "443"); (err == nil) != want {
			t.Errorf("%s: got %v, want allowed: %v", host, err, want)
		}
	}
}

func TestOutProxies(t *testing.T) {
	p, err := newOutProxies(Settings{HTTPSProxy: "http://proxy:3128", NoProxy: "a.example,.b.example, 10.0.0.0/8,c.example:8443,192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]bool{
		"https://other.example/": true, "https://c.example/": true, "https://xa.example/": true, "https://192.0.2.2/": true,
		"http://other.example/": false, "https://a.example/": false, "https://x.a.example/": false, "https://x.b.example/": false,
		"https://10.1.1.1/": false, "https://c.example:8443/": false, "https://192.0.2.1/": false, "https://127.0.0.1/": false,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if proxy, _ := p.choose(u); (proxy != nil) != want {
			t.Errorf("%s: got proxy %v, want one: %v", raw, proxy, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for raw, want := range map[string]string{
		"https://user:secret@host/a/b.git?token=x#f": "https://host/a/b.git",
		"https://host/a":                "https://host/a",
		"git@host:a/b.git":              "host:a/b.git",
		"ssh://git@host:22/a":           "ssh://host:22/a",
		"https://user:sec ret%zz@host/": "https://(URL that cannot be parsed)",
		"/a/path":                       "/a/path",
		"user:secret@https://x":         "?://(URL that cannot be parsed)",
	} {
		if got := Redact(raw); got != want {
			t.Errorf("Redact(%q): got %q, want %q", raw, got, want)
		}
	}
}
