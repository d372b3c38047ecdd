package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Nobody listens there, and it would not be asked: what becomes of the requests does not matter here.
const someOrder = `{"repo": "https://127.0.0.1:1/o/app", "ref": "adbc8813901bba65827259daa8e22ff94ec1f30e"%s}`

const webService = "HTTP/localhost"

// briefLife is how long tickets of the user "brief" hold.
const briefLife = 4 * time.Second

// TestKerberos: a real KDC, the real service, and clients that know nothing of either: curl, MIT's GSS-API
// and gokrb5.
func TestKerberos(t *testing.T) {
	if version, err := exec.Command("curl", "--version").Output(); err != nil || !bytes.Contains(version, []byte("GSS-API")) {
		missing(t, "curl with GSS-API (Debian: curl)")
	}
	k := newKDC(t)
	for _, user := range []string{"tbrady", "worker/host1.test", "joe"} {
		k.add(homeRealm, user+"@"+homeRealm, "-pw", password)
	}
	k.add(partnerRealm, "tbrady@"+partnerRealm, "-pw", password)
	k.add(homeRealm, "brief@"+homeRealm, "-pw", password, "-maxlife", fmt.Sprint(int(briefLife.Seconds()), " seconds"))
	for _, service := range []string{webService, "host/localhost", "HTTP/elsewhere"} {
		k.add(homeRealm, service+"@"+homeRealm, "-randkey")
	}
	k.add(homeRealm, "HTTP/sha2@"+homeRealm, "-randkey", "-e", "aes256-cts-hmac-sha384-192:normal")
	keytab := k.export("keytab", webService, "host/localhost", "HTTP/sha2")
	s := k.serve("CACHITO_KERBEROS_KEYTAB="+keytab,
		"CACHITO_USER_REPRESENTATIVES=tbrady@"+homeRealm, "CACHITO_WORKER_USERNAMES=worker/host1.test@"+homeRealm)

	t.Run("curl", func(t *testing.T) { testCurl(t, k, s) })
	t.Run("GSS-API", func(t *testing.T) { testGSSAPI(t, k, s) })
	t.Run("Go", func(t *testing.T) { testGo(t, k, s) })
	t.Run("expired", func(t *testing.T) { testExpired(t, k, keytab) })
	t.Run("other realms shut out", func(t *testing.T) {
		s := k.serve("CACHITO_KERBEROS_KEYTAB="+keytab, "CACHITO_KERBEROS_REALMS="+homeRealm)
		if got := k.curl("tbrady@"+partnerRealm, s, http.MethodPost, "/requests", orderFor("")); got.status != 401 {
			t.Errorf("partner: got %+v, want 401", got)
		}
		if got := k.curl("tbrady@"+homeRealm, s, http.MethodPost, "/requests", orderFor("")); got.status != 201 {
			t.Errorf("our own: got %+v, want 201", got)
		}
	})
	// Last: it changes the service's key.
	t.Run("key changed", func(t *testing.T) {
		k.run("", "kadmin.local", "-r", homeRealm, "cpw", "-randkey", webService)
		k.login("joe@" + homeRealm) // a new cache, so a new ticket
		if got := k.curl("joe@"+homeRealm, s, http.MethodPost, "/requests", orderFor("")); got.status != 401 || !strings.Contains(s.log(), "key version 2") {
			t.Errorf("the old keytab: got %+v, want 401\n%s", got, s.log())
		}
		s := k.serve("CACHITO_KERBEROS_KEYTAB=" + k.export("new keytab", webService))
		if got := k.curl("joe@"+homeRealm, s, http.MethodPost, "/requests", orderFor("")); got.status != 201 {
			t.Errorf("the new keytab: got %+v, want 201", got)
		}
	})
}

func orderFor(user string) string {
	if user == "" {
		return fmt.Sprintf(someOrder, "")
	}
	return fmt.Sprintf(someOrder, fmt.Sprintf(`, "user": %q`, user))
}

// testCurl: who may do what, as curl sees it.
func testCurl(t *testing.T, k *kdc, s *served) {
	const (
		tbrady  = "tbrady@" + homeRealm
		worker  = "worker/host1.test@" + homeRealm
		joe     = "joe@" + homeRealm
		partner = "tbrady@" + partnerRealm
		files   = `[{"type": "base64", "path": "a", "content": "YQ=="}]`
	)
	for _, user := range []string{tbrady, worker, joe, partner} {
		k.login(user)
	}
	tests := []struct {
		name, as, method, path, body string
		want                         answer
	}{
		{"a user", tbrady, "POST", "/requests", orderFor(""), answer{201, tbrady, ""}},
		{"somebody without a ticket", "nobody", "POST", "/requests", orderFor(""), answer{401, "", unauthorizedText}},
		{"a representative for somebody else", tbrady, "POST", "/requests", orderFor("koji"), answer{201, "koji", ""}},
		{"anybody for somebody else", joe, "POST", "/requests", orderFor("koji"), answer{403, "", "You are not authorized to create a request on behalf of another user"}},
		{"a user of a realm that is trusted", partner, "POST", "/requests", orderFor(""), answer{201, partner, ""}},
		{"a representative's namesake", partner, "POST", "/requests", orderFor("koji"), answer{403, "", "You are not authorized to create a request on behalf of another user"}},
		{"a worker's report", worker, "PATCH", "/requests/1", `{"packages_count": 1}`, answer{200, "", ""}},
		{"anybody's report", joe, "PATCH", "/requests/1", `{"packages_count": 1}`, answer{403, "", "This API endpoint is restricted to Cachito workers"}},
		{"nobody's report", "nobody", "PATCH", "/requests/1", `{"packages_count": 1}`, answer{401, "", unauthorizedText}},
		{"a worker's files", worker, "POST", "/requests/1/configuration-files", files, answer{204, "", ""}},
		{"anybody's files", joe, "POST", "/requests/1/configuration-files", files, answer{403, "", "This API endpoint is restricted to Cachito workers"}},
		{"reading with a ticket", joe, "GET", "/requests/1", "", answer{200, tbrady, ""}},
		{"reading without one", "nobody", "GET", "/requests/1", "", answer{200, tbrady, ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := k.curl(tt.as, s, tt.method, tt.path, tt.body); got != tt.want {
				t.Errorf("got %+v, want %+v\n%s", got, tt.want, s.log())
			}
		})
	}
}

const unauthorizedText = "The server could not verify that you are authorized to access the URL requested. You either supplied the wrong credentials (e.g. a bad password), or your browser doesn't understand how to supply the credentials required."

// answer is what matters of one.
type answer struct {
	status      int
	user, error string
}

func readAnswer(t *testing.T, status int, body []byte) answer {
	t.Helper()
	var a struct{ User, Error string }
	if len(bytes.TrimSpace(body)) > 0 && body[0] == '{' {
		if err := json.Unmarshal(body, &a); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	return answer{status, a.User, a.Error}
}

// curl calls the service as user does by hand.
func (k *kdc) curl(user string, s *served, method, path, body string) answer {
	k.t.Helper()
	args := []string{"-q", "-sS", "--max-time", "30", "--negotiate", "-u", ":", "-X", method, "-w", "\n%{http_code}", s.url + "/api/v1" + path}
	if body != "" {
		args = append(args, "-H", "Content-Type: application/json", "-d", body)
	}
	cmd := exec.Command("curl", args...)
	cmd.Env = k.env(user)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		k.t.Fatalf("curl: %v\n%s", err, stderr.String())
	}
	at := bytes.LastIndexByte(out, '\n')
	var status int
	if _, err := fmt.Sscan(string(out[at+1:]), &status); err != nil {
		k.t.Fatalf("curl: %v: %s", err, out)
	}
	return readAnswer(k.t, status, out[:at])
}

// mutual is a client that believes the service only when it proves itself; MIT's library judges the proof.
const mutual = `
import base64, gssapi, json, sys, urllib.request
url, name, body, mech = sys.argv[1:]
oid = {"spnego": "1.3.6.1.5.5.2", "krb5": "1.2.840.113554.1.2.2"}[mech]
flags = gssapi.RequirementFlag.mutual_authentication
context = gssapi.SecurityContext(name=gssapi.Name(name, gssapi.NameType.hostbased_service), usage="initiate",
                                 mech=gssapi.OID.from_int_seq(oid), flags=flags)
token = base64.b64encode(context.step()).decode()
assert not context.complete
request = urllib.request.Request(url, data=body.encode(), headers={"Content-Type": "application/json", "Authorization": "Negotiate " + token})
with urllib.request.urlopen(request, timeout=30) as answer:
    scheme, _, proof = answer.headers["WWW-Authenticate"].partition(" ")
    user = json.load(answer)["user"]
assert scheme == "Negotiate", scheme
context.step(base64.b64decode(proof))
assert context.complete and context.actual_flags & flags, context.actual_flags
print(user)
`

// testGSSAPI: mutual authentication, with both forms of tokens and with the newest encryption type.
func testGSSAPI(t *testing.T, k *kdc, s *served) {
	const python = "/usr/bin/python3" // Debian's, which Debian's modules are for
	if exec.Command(python, "-c", "import gssapi").Run() != nil {
		missing(t, "python3-gssapi")
	}
	for _, tt := range []struct{ service, mechanism string }{
		{"HTTP@localhost", "spnego"}, {"HTTP@localhost", "krb5"}, {"HTTP@sha2", "spnego"},
	} {
		cmd := exec.Command(python, "-c", mutual, s.url+"/api/v1/requests", tt.service, orderFor(""), tt.mechanism)
		cmd.Env = append(k.env("joe@"+homeRealm), "http_proxy=")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if got, want := strings.TrimSpace(string(out)), "joe@"+homeRealm; err != nil || got != want {
			t.Errorf("%v: got %q, %v; want %q\n%s%s", tt, got, err, want, stderr.String(), s.log())
		}
	}
}

// testGo: gokrb5's client, and tokens that no honest client sends.
func testGo(t *testing.T, k *kdc, s *served) {
	joe := k.goClient("joe")
	req, err := http.NewRequest(http.MethodPost, s.url+"/api/v1/requests", strings.NewReader(orderFor("")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := spnego.NewClient(joe, &http.Client{Timeout: 30 * time.Second}, webService).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := readAnswer(t, resp.StatusCode, body), (answer{201, "joe@" + homeRealm, ""}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}

	refused := func(name, authorization, reason string) {
		t.Helper()
		got, told := s.send(t, authorization)
		if got != (answer{401, "", unauthorizedText}) || told != "Negotiate oQcwBaADCgEC" {
			t.Errorf("%s: got %+v and %q, want a rejection", name, got, told)
		}
		if !strings.Contains(s.log(), reason) {
			t.Errorf("%s: the log does not tell %q:\n%s", name, reason, s.log())
		}
	}
	refused("a service of the keytab that is no web service", ticketFor(t, joe, "host/localhost", 0), `the ticket is for [\"host\"`)
	refused("a service that is not in the keytab", ticketFor(t, joe, "HTTP/elsewhere", 0), `the ticket is for [\"HTTP\" \"elsewhere\"]`)
	refused("a clock that is behind", ticketFor(t, joe, webService, -6*time.Minute), "clocks may differ by 5m0s")
	refused("a clock that is ahead", ticketFor(t, joe, webService, 6*time.Minute), "clocks may differ by 5m0s")
	refused("NTLM", "Negotiate TlRMTVNTUAABAAAAl4II4gAAAAAAAAAAAAAAAAAAAAA=", "NTLM is not supported")

	again := ticketFor(t, joe, webService, 0)
	if got, told := s.send(t, again); got.status != 201 || told != "Negotiate oRQwEqADCgEAoQsGCSqGSIb3EgECAg==" {
		t.Errorf("a ticket: got %+v and %q", got, told)
	}
	refused("the same again", again, "it was used before")

	together := ticketFor(t, joe, webService, 4*time.Minute)
	var mu sync.Mutex
	counts := map[int]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, _ := s.send(t, together)
			mu.Lock()
			defer mu.Unlock()
			counts[got.status]++
		})
	}
	wg.Wait()
	if counts[201] != 1 || counts[401] != 7 {
		t.Errorf("the same eight times at once: %v, want one 201 and seven 401", counts)
	}
	if strings.Contains(s.log(), "goroutine ") || strings.Contains(s.log(), again[20:60]) {
		t.Errorf("the log has a stack trace or a ticket:\n%s", s.log())
	}
}

// testExpired: a ticket that was good once.
func testExpired(t *testing.T, k *kdc, keytab string) {
	s := k.serve("CACHITO_KERBEROS_KEYTAB="+keytab, "CACHITO_KERBEROS_MAX_SKEW=1s")
	var c *client.Client
	var ticket messages.Ticket
	var key types.EncryptionKey
	for range 5 { // a busy machine may let it expire on the way
		began := time.Now()
		var err error
		c = k.goClient("brief")
		if ticket, key, err = c.GetServiceTicket(webService); err != nil {
			t.Fatal(err)
		}
		got, _ := s.send(t, headerOf(t, ticket, key, authenticator(t, c)))
		if time.Since(began) < briefLife {
			if got.status != 201 {
				t.Errorf("while it is good: got %+v, want 201\n%s", got, s.log())
			}
			break
		}
	}
	// Tickets count whole seconds, and the service's clock may be one second off.
	time.Sleep(briefLife + 2*time.Second)
	got, told := s.send(t, headerOf(t, ticket, key, authenticator(t, c)))
	if got != (answer{401, "", unauthorizedText}) || told != "Negotiate oQcwBaADCgEC" || !strings.Contains(s.log(), "it held until") {
		t.Errorf("got %+v and %q, want a rejection\n%s", got, told, s.log())
	}
}

func (k *kdc) goClient(user string) *client.Client {
	k.t.Helper()
	cfg, err := config.Load(k.file("krb5.conf"))
	if err != nil {
		k.t.Fatal(err)
	}
	c := client.NewWithPassword(user, homeRealm, password, cfg, client.DisablePAFXFAST(true))
	if err := c.Login(); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(c.Destroy)
	return c
}

// ticketFor makes an Authorization header from a ticket for a service, by a clock that is off.
func ticketFor(t *testing.T, c *client.Client, service string, off time.Duration) string {
	t.Helper()
	ticket, key, err := c.GetServiceTicket(service)
	if err != nil {
		t.Fatal(err)
	}
	by := authenticator(t, c)
	by.CTime = by.CTime.Add(off)
	return headerOf(t, ticket, key, by)
}

// authenticator is what a client adds to its ticket: the time, for one.
func authenticator(t *testing.T, c *client.Client) types.Authenticator {
	t.Helper()
	by, err := types.NewAuthenticator(c.Credentials.Domain(), c.Credentials.CName())
	if err != nil {
		t.Fatal(err)
	}
	return by
}

func headerOf(t *testing.T, ticket messages.Ticket, key types.EncryptionKey, by types.Authenticator) string {
	t.Helper()
	request, err := messages.NewAPReq(ticket, key, by)
	if err != nil {
		t.Fatal(err)
	}
	b, err := request.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	mechanism, err := asn1.Marshal(gssapi.OIDKRB5.OID())
	if err != nil {
		t.Fatal(err)
	}
	inner := asn1tools.AddASNAppTag(append(append(mechanism, 1, 0), b...), 0)
	outer, err := (&spnego.SPNEGOToken{Init: true, NegTokenInit: spnego.NegTokenInit{
		MechTypes: []asn1.ObjectIdentifier{gssapi.OIDKRB5.OID()}, MechTokenBytes: inner,
	}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return "Negotiate " + base64.StdEncoding.EncodeToString(outer)
}

// served is a running `cachito serve`.
type served struct {
	url     string
	logPath string
	t       *testing.T
}

// serve starts the service, which ends with the test.
func (k *kdc) serve(env ...string) *served {
	k.t.Helper()
	return serve(k.t, append(k.env("service"), env...))
}

func serve(t *testing.T, env []string) *served {
	t.Helper()
	dir := t.TempDir()
	portFile := filepath.Join(dir, "port")
	s := &served{t: t, logPath: filepath.Join(dir, "log")}
	log, err := os.Create(s.logPath)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("cachito", "serve", "--listen", "127.0.0.1:0", "--port-file", portFile, "--data-dir", filepath.Join(dir, "data"))
	cmd.Env, cmd.Stderr = env, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it is gone if this fails
		if err := cmd.Wait(); err != nil {
			t.Errorf("the service ended with %v\n%s", err, s.log())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if port, err := os.ReadFile(portFile); err == nil {
			s.url = "http://localhost:" + strings.TrimSpace(string(port))
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("the service does not start: %s", s.log())
		}
	}
}

func (s *served) log() string {
	content, err := os.ReadFile(s.logPath)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(content)
}

// send posts an order and gives the answer and its WWW-Authenticate.
func (s *served) send(t *testing.T, authorization string) (answer, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.url+"/api/v1/requests", strings.NewReader(orderFor("")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", authorization)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return answer{}, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return readAnswer(t, resp.StatusCode, body), resp.Header.Get("WWW-Authenticate")
}
