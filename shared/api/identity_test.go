package api_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/api"
)

const unauthorized = "The server could not verify that you are authorized to access the URL requested."

func orderOf(user string) []byte {
	if user == "" {
		return fmt.Appendf(nil, `{"repo": %q, "ref": %q}`, repo, ref)
	}
	return fmt.Appendf(nil, `{"repo": %q, "ref": %q, "user": %q}`, repo, ref, user)
}

func userOf(t *testing.T, body []byte) string {
	t.Helper()
	var req struct{ User string }
	if err := json.Unmarshal(body, &req); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return req.User
}

// TestIdentityRefused: what cannot be a user's name is the caller's mistake, and says where it stands.
func TestIdentityRefused(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   string // user, or the error
		status int
	}{
		{"a name", []string{"tbrady@DOMAIN.LOCAL"}, "tbrady@DOMAIN.LOCAL", 201},
		{"a subject with commas and blanks", []string{"CN=Tom Brady,OU=serviceusers,DC=domain,DC=local"}, "CN=Tom Brady,OU=serviceusers,DC=domain,DC=local", 201},
		{"letters that are not ASCII", []string{"jiří@DOMAIN.LOCAL"}, "jiří@DOMAIN.LOCAL", 201},
		{"exactly as long as it may be", []string{strings.Repeat("n", api.MaxUserBytes)}, strings.Repeat("n", api.MaxUserBytes), 201},
		{"one byte longer", []string{strings.Repeat("n", api.MaxUserBytes+1)}, "The header X-Remote-User has 1025 bytes, and a user name no more than 1024", 400},
		{"two of them", []string{"tbrady@DOMAIN.LOCAL", "root@DOMAIN.LOCAL"}, "The header X-Remote-User was sent 2 times", 400},
		{"the same twice", []string{"tbrady@DOMAIN.LOCAL", "tbrady@DOMAIN.LOCAL"}, "The header X-Remote-User was sent 2 times", 400},
		{"one of two empty", []string{"", "tbrady@DOMAIN.LOCAL"}, "The header X-Remote-User was sent 2 times", 400},
		{"a line break", []string{"tbrady\r\nX-Remote-User: root"}, "The header X-Remote-User is no user name: want printable UTF-8, without blanks around it", 400},
		{"a bare line feed", []string{"a\nb"}, "The header X-Remote-User is no user name: want printable UTF-8, without blanks around it", 400},
		{"NUL", []string{"a\x00"}, "The header X-Remote-User is no user name: want printable UTF-8, without blanks around it", 400},
		{"Latin-1", []string{"jir\xed"}, "The header X-Remote-User is no user name: want printable UTF-8, without blanks around it", 400},
		{"text that is written backwards", []string{"a\u202eb"}, "The header X-Remote-User is no user name: want printable UTF-8, without blanks around it", 400},
		{"a blank that does not look like one", []string{"a\u00a0b"}, "The header X-Remote-User is no user name: want printable UTF-8, without blanks around it", 400},
		{"blanks around it", []string{" tbrady"}, "The header X-Remote-User is no user name: want printable UTF-8, without blanks around it", 400},
		{"only blanks", []string{"  "}, "The header X-Remote-User is no user name: want printable UTF-8, without blanks around it", 400},
		{"empty", []string{""}, unauthorized, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, settings())
			send := func(method, target string, body []byte) *httptest.ResponseRecorder {
				r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(string(body)))
				r.Header.Set("Content-Type", "application/json")
				r.Header[identityHeader] = tt.values
				out := httptest.NewRecorder()
				w.handler.ServeHTTP(out, r)
				return out
			}
			out := send(http.MethodPost, "/api/v1/requests", orderOf(""))
			got := ""
			if tt.status == 201 {
				got = userOf(t, out.Body.Bytes())
			} else {
				got = message(t, out.Body.Bytes())
			}
			if out.Code != tt.status || !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %d %q, want %d %q", out.Code, got, tt.status, tt.want)
			}
			if out := send(http.MethodGet, "/api/v1/requests", nil); out.Code != 200 {
				t.Errorf("reading: status %d, want 200", out.Code)
			}
		})
	}
}

// TestIdentitySourcesRefused: the same for what a gateway or a certificate calls somebody.
func TestIdentitySourcesRefused(t *testing.T) {
	w := newWorld(t, settings(), func(d *api.Deps) { d.Identify = func(*http.Request) string { return "a\nb" } })
	out := w.ask(http.MethodPost, "/api/v1/requests", "", orderOf(""), "Content-Type", "application/json")
	if got := message(t, out.Body.Bytes()); out.Code != 400 || !strings.HasPrefix(got, "What the gateway calls the caller is no user name") {
		t.Errorf("gateway: got %d %s", out.Code, got)
	}
	w = newWorld(t, settings())
	out = w.ask(http.MethodPost, "/api/v1/requests", "dn:CN="+strings.Repeat("n", 2000), orderOf(""), "Content-Type", "application/json")
	if got := message(t, out.Body.Bytes()); out.Code != 400 || got != "The subject of the client certificate has 2003 bytes, and a user name no more than 1024" {
		t.Errorf("certificate: got %d %s", out.Code, got)
	}
}

// TestHeadersOnTheWire: what a client writes into a connection, byte by byte, makes nobody of it but the one
// that the proxy's header names.
func TestHeadersOnTheWire(t *testing.T) {
	w := newWorld(t, settings())
	server := httptest.NewServer(w.handler)
	defer server.Close()
	tests := []struct {
		name, headers string
		status        int
		user          string
	}{
		{"a name", "X-Remote-User: tbrady@DOMAIN.LOCAL\r\n", 201, "tbrady@DOMAIN.LOCAL"},
		{"in other letters", "x-REMOTE-user: tbrady@DOMAIN.LOCAL\r\n", 201, "tbrady@DOMAIN.LOCAL"},
		{"blanks around it", "X-Remote-User: \t tbrady@DOMAIN.LOCAL \t\r\n", 201, "tbrady@DOMAIN.LOCAL"},
		{"only blanks", "X-Remote-User: \t \r\n", 401, ""},
		{"another spelling", "X_Remote_User: root@DOMAIN.LOCAL\r\n", 401, ""},
		{"two lines", "X-Remote-User: root@DOMAIN.LOCAL\r\nX-Remote-User: tbrady@DOMAIN.LOCAL\r\n", 400, ""},
		{"two lines in other letters", "X-Remote-User: root@DOMAIN.LOCAL\r\nx-remote-user: tbrady@DOMAIN.LOCAL\r\n", 400, ""},
		{"a comma is part of the name", "X-Remote-User: a@R, b@R\r\n", 201, "a@R, b@R"},
		{"folded over two lines", "X-Remote-User: tbrady\r\n @DOMAIN.LOCAL\r\n", 201, "tbrady @DOMAIN.LOCAL"},
		{"a bare carriage return", "X-Remote-User: a\rX-Remote-User: root\r\n", 400, ""},
		{"a bare line feed ends the line", "X-Remote-User: a@R\nX-Other: b\r\n", 201, "a@R"},
		{"NUL", "X-Remote-User: a\x00b\r\n", 400, ""},
		{"a blank before the colon", "X-Remote-User : root\r\n", 400, ""},
		{"Latin-1", "X-Remote-User: jir\xed\r\n", 400, ""},
		{"a very long name", "X-Remote-User: " + strings.Repeat("n", 60_000) + "\r\n", 400, ""},
		{"a header of two megabytes", "X-Remote-User: " + strings.Repeat("n", 2<<20) + "\r\n", 431, ""},
		{"in a trailer", "Trailer: X-Remote-User\r\n", 401, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			body := orderOf("")
			go func() {
				// The server may have heard enough before the end.
				_, _ = fmt.Fprintf(c, "POST /api/v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Remote-User: root\r\n\r\n",
					tt.headers, len(body), body)
			}()
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			content, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, tt.status, content)
			}
			if tt.status == 201 {
				if got := userOf(t, content); got != tt.user {
					t.Errorf("user %q, want %q", got, tt.user)
				}
			}
		})
	}
}

// TestTrustedProxies: what a proxy says counts from the proxy alone.
func TestTrustedProxies(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")}
	tests := []struct {
		remote  string
		trusted bool
	}{
		{"192.0.2.7:4711", true},
		{"192.0.2.7", true}, // as Lambda has it
		{"[::ffff:192.0.2.7]:4711", true},
		{"[2001:db8::1]:4711", true},
		{"192.0.2.8:4711", false},
		{"[2001:db9::1%eth0]:4711", false},
		{"127.0.0.1:4711", false},
		{"@", false}, // a Unix socket
		{"", false},
	}
	for _, tt := range tests {
		t.Run(tt.remote, func(t *testing.T) {
			cfg := settings()
			cfg.TrustedProxies, cfg.TrustForwarded = proxies, true
			w := newWorld(t, cfg)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/requests", strings.NewReader(string(orderOf(""))))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set(identityHeader, user)
			r.RemoteAddr = tt.remote
			out := httptest.NewRecorder()
			w.handler.ServeHTTP(out, r)
			want := http.StatusUnauthorized
			if tt.trusted {
				want = http.StatusCreated
			}
			if out.Code != want {
				t.Errorf("identity: status %d, want %d", out.Code, want)
			}

			r = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/requests", nil)
			r.Host = "localhost"
			r.Header.Set("X-Forwarded-Host", "outer.example")
			r.Header.Set("X-Forwarded-Proto", "https")
			r.Header.Set("X-Forwarded-Prefix", "/stage")
			r.RemoteAddr = tt.remote
			out = httptest.NewRecorder()
			w.handler.ServeHTTP(out, r)
			base := "http://localhost/api/v1/"
			if tt.trusted {
				base = "https://outer.example/stage/api/v1/"
			}
			if !strings.Contains(out.Body.String(), `"first": "`+base) {
				t.Errorf("links: want %s: %s", base, out.Body)
			}
		})
	}
}

// TestForwardedNonsense: what a proxy says is still no reason for links that lead nowhere.
func TestForwardedNonsense(t *testing.T) {
	cfg := settings()
	cfg.TrustForwarded = true
	w := newWorld(t, cfg)
	for _, header := range [][]string{
		{"X-Forwarded-Host", "evil.example/path"},
		{"X-Forwarded-Host", "user@evil.example"},
		{"X-Forwarded-Host", `"><script>`},
		{"X-Forwarded-Host", "a b"},
		{"X-Forwarded-Host", ":80"},
		{"X-Forwarded-Host", "evil\r\nexample"},
		{"X-Forwarded-Prefix", "//evil.example"},
		{"X-Forwarded-Prefix", "@evil.example"},
		{"X-Forwarded-Prefix", "/a?b="},
		{"X-Forwarded-Prefix", "/a b"},
		{"X-Forwarded-Proto", "javascript"},
	} {
		out := w.ask(http.MethodGet, "/api/v1/requests", "", nil, header...)
		if want := `"first": "http://localhost/api/v1/requests?`; !strings.Contains(out.Body.String(), want) {
			t.Errorf("%s: %s\nwant %s in it", header, out.Body, want)
		}
	}
}

// tickets is a negotiator that takes the token "ticket of NAME" as NAME's.
type tickets struct{ judged atomic.Int32 }

func (n *tickets) Accept(token []byte, remote string) (string, []byte, error) {
	n.judged.Add(1)
	if remote == "" {
		return "", nil, errors.New("no address")
	}
	name, ok := strings.CutPrefix(string(token), "ticket of ")
	switch {
	case !ok:
		return "", []byte("no"), errors.New("secret reason")
	case name == "quiet@R":
		return name, nil, nil
	}
	return name, []byte("proof"), nil
}

func ticketOf(name string) string {
	return "Negotiate " + base64.StdEncoding.EncodeToString([]byte("ticket of "+name))
}

// TestNegotiate: which calls are asked for a ticket, what tickets bring, and what the client is told.
func TestNegotiate(t *testing.T) {
	const (
		proof  = "Negotiate cHJvb2Y="
		reject = "Negotiate bm8="
		bad    = "Negotiate AAAA"
	)
	post, patch, get := http.MethodPost, http.MethodPatch, http.MethodGet
	files := []byte(`[{"type": "base64", "path": "a", "content": "YQ=="}]`)
	report := []byte(`{"packages_count": 1}`)
	ticket := ticketOf(user)
	tests := []struct {
		name   string
		method string
		target string
		body   []byte
		header []string
		status int
		told   string // WWW-Authenticate
		text   string // in the answer
		judged int32
	}{
		{"no ticket", post, "/requests", orderOf(""), nil, 401, "Negotiate", unauthorized, 0},
		{"no ticket for a report", patch, "/requests/1", report, nil, 401, "Negotiate", unauthorized, 0},
		{"no ticket for files", post, "/requests/1/configuration-files", files, nil, 401, "Negotiate", unauthorized, 0},
		{"a ticket", post, "/requests", orderOf(""), []string{"Authorization", ticket}, 201, proof, `"user": "tbrady@DOMAIN.LOCAL"`, 1},
		{"the scheme in small letters", post, "/requests", orderOf(""), []string{"Authorization", strings.Replace(ticket, "Negotiate", "negotiate", 1)}, 201, proof, `"user": "tbrady@DOMAIN.LOCAL"`, 1},
		{"a ticket whose owner wants no proof", post, "/requests", orderOf(""), []string{"Authorization", ticketOf("quiet@R")}, 201, "", `"user": "quiet@R"`, 1},
		{"for somebody else, by a representative", post, "/requests", orderOf("koji"), []string{"Authorization", ticket}, 201, proof, `"submitted_by": "tbrady@DOMAIN.LOCAL"`, 1},
		{"for somebody else, by anybody", post, "/requests", orderOf("koji"), []string{"Authorization", ticketOf("joe@R")}, 403, proof, "You are not authorized to create a request on behalf of another user", 1},
		{"a representative's name in another realm", post, "/requests", orderOf("koji"), []string{"Authorization", ticketOf("tbrady@PARTNER.TEST")}, 403, proof, "on behalf of another user", 1},
		{"a worker's report", patch, "/requests/1", report, []string{"Authorization", ticketOf(worker)}, 200, proof, `""`, 1},
		{"a report by anybody", patch, "/requests/1", report, []string{"Authorization", ticket}, 403, proof, "This API endpoint is restricted to Cachito workers", 1},
		{"a worker's files", post, "/requests/1/configuration-files", files, []string{"Authorization", ticketOf(worker)}, 204, proof, "", 1},
		{"files by anybody", post, "/requests/1/configuration-files", files, []string{"Authorization", ticket}, 403, proof, "restricted to Cachito workers", 1},
		{"a bad ticket", post, "/requests", orderOf(""), []string{"Authorization", bad}, 401, reject, unauthorized, 1},
		{"an empty ticket", post, "/requests", orderOf(""), []string{"Authorization", "Negotiate"}, 401, reject, unauthorized, 1},
		{"no base64", post, "/requests", orderOf(""), []string{"Authorization", "Negotiate ?"}, 400, "", `The header Authorization holds no base64 after \"Negotiate\"`, 0},
		{"two tickets", post, "/requests", orderOf(""), []string{"Authorization", ticket, "Authorization", ticketOf(worker)}, 400, "", "The header Authorization was sent 2 times", 0},
		{"another scheme", post, "/requests", orderOf(""), []string{"Authorization", "Basic dTpw"}, 401, "Negotiate", unauthorized, 0},
		{"a scheme that begins alike", post, "/requests", orderOf(""), []string{"Authorization", "Negotiated cHJvb2Y="}, 401, "Negotiate", unauthorized, 0},
		{"a body that is wrong comes first", post, "/requests", []byte("{}"), []string{"Authorization", ticket}, 400, "", "'ref' is a required property", 0},
		{"a trusted proxy's word comes first", post, "/requests", orderOf(""), []string{"Authorization", bad, identityHeader, user}, 201, "", `"user": "tbrady@DOMAIN.LOCAL"`, 0},
		{"reading needs no ticket", get, "/requests/1", nil, nil, 200, "", `"id": 1`, 0},
		{"reading with a bad ticket", get, "/requests/1", nil, []string{"Authorization", bad}, 200, "", `"id": 1`, 0},
		{"reading with two", get, "/requests/1", nil, []string{"Authorization", bad, "Authorization", bad}, 200, "", `"id": 1`, 0},
		{"a path that is not there", post, "/nothing", nil, []string{"Authorization", bad}, 404, "", "not found", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var n tickets
			w := newWorld(t, settings(), func(d *api.Deps) { d.Negotiator = &n })
			w.post(nil)
			out := w.ask(tt.method, "/api/v1"+tt.target, "", tt.body, append([]string{"Content-Type", "application/json"}, tt.header...)...)
			if out.Code != tt.status || out.Header().Get("WWW-Authenticate") != tt.told || !strings.Contains(out.Body.String(), tt.text) {
				t.Errorf("got %d, %q, %s\nwant %d, %q, %s", out.Code, out.Header().Get("WWW-Authenticate"), out.Body, tt.status, tt.told, tt.text)
			}
			if got := n.judged.Load(); got != tt.judged {
				t.Errorf("%d tickets were judged, want %d", got, tt.judged)
			}
			if strings.Contains(out.Body.String(), "secret") {
				t.Errorf("the answer tells too much: %s", out.Body)
			}
			if refused := tt.told == reject; strings.Contains(w.logged.String(), "secret reason") != refused {
				t.Errorf("log:\n%s", w.logged.String())
			}
			if strings.Contains(w.logged.String(), "dGlja2V0") || strings.Contains(w.logged.String(), "ticket of") {
				t.Errorf("the log holds a ticket:\n%s", w.logged.String())
			}
		})
	}
}

// TestNegotiateLoginDisabled: where nobody need log in, nobody is asked to; but who tries must succeed, and
// a ticket comes before a certificate.
func TestNegotiateLoginDisabled(t *testing.T) {
	cfg := settings()
	cfg.LoginDisabled = true
	w := newWorld(t, cfg, func(d *api.Deps) { d.Negotiator = &tickets{} })
	tests := []struct {
		as, authorization string
		status            int
		user              string
	}{
		{"", "", 201, "null"},
		{"", "Basic dTpw", 201, "null"},
		{"", ticketOf("joe@R"), 201, `"joe@R"`},
		{"", "Negotiate AAAA", 401, ""},
		{"dn:CN=machine", ticketOf("joe@R"), 201, `"joe@R"`},
		{"dn:CN=machine", "", 201, `"CN=machine"`},
		{"dn:CN=machine", "Negotiate AAAA", 401, ""},
	}
	for _, tt := range tests {
		header := []string{"Content-Type", "application/json"}
		if tt.authorization != "" {
			header = append(header, "Authorization", tt.authorization)
		}
		out := w.ask(http.MethodPost, "/api/v1/requests", tt.as, orderOf(""), header...)
		if out.Code != tt.status || tt.user != "" && !strings.Contains(out.Body.String(), `"user": `+tt.user) {
			t.Errorf("%q, %q: got %d %s, want %d and user %s", tt.as, tt.authorization, out.Code, out.Body, tt.status, tt.user)
		}
	}
}

// TestGatewayAndTickets: behind a gateway that knows nobody, a ticket still counts; headers and certificates do not.
func TestGatewayAndTickets(t *testing.T) {
	known := ""
	w := newWorld(t, settings(), func(d *api.Deps) {
		d.Negotiator = &tickets{}
		d.Identify = func(*http.Request) string { return known }
	})
	ask := func(as string, header ...string) *httptest.ResponseRecorder {
		return w.ask(http.MethodPost, "/api/v1/requests", as, orderOf(""), append([]string{"Content-Type", "application/json"}, header...)...)
	}
	if out := ask(user); out.Code != 401 {
		t.Errorf("a header: status %d, want 401", out.Code)
	}
	if out := ask("dn:CN=x"); out.Code != 401 {
		t.Errorf("a certificate: status %d, want 401", out.Code)
	}
	if out := ask("", "Authorization", ticketOf("joe@R")); !strings.Contains(out.Body.String(), `"user": "joe@R"`) {
		t.Errorf("a ticket: %s", out.Body)
	}
	known = "arn:aws:iam::111122223333:user/ann"
	if out := ask("", "Authorization", ticketOf("joe@R")); !strings.Contains(out.Body.String(), `"user": "`+known+`"`) {
		t.Errorf("the gateway's word and a ticket: %s", out.Body)
	}
}
