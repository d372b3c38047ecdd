package chaos

import (
	"bytes"
	"encoding/xml"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// failEvery is the share of calls to AWS that fail: 1 of so many.
const failEvery = 20

// fate is what happens to one invocation, besides the failing calls.
type fate struct {
	// killAfter this time, or at its nth call: before it reaches AWS, or when it was carried out and nobody
	// knows yet.
	killAfter time.Duration
	killAt    int
	afterCall bool
	// cutOffAt its nth call it loses the network, and with that all it could do before its time is over.
	cutOffAt int
}

// Ways in which a call fails.
const (
	faultError     = "answered with an error of the server"
	faultThrottled = "throttled"
	faultCut       = "cut before it arrived"
	faultLost      = "carried out, the answer lost"
)

var faults = []string{faultError, faultThrottled, faultCut, faultLost}

// network is one process's way to AWS: a proxy that loses and refuses calls.
type network struct {
	w      *world
	s      *sandbox
	url    string
	server *http.Server
	base   http.RoundTripper
	random *rand.Rand // under mu
	mu     sync.Mutex
	fate   fate
	now    *invocation
	calls  int
	hasEnd atomic.Bool
	cutOff bool
}

func (w *world) newNetwork(s *sandbox) (*network, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	n := &network{w: w, s: s, url: "http://" + listener.Addr().String(), base: base, random: w.dice("network", w.networks.Add(1))}
	n.server = &http.Server{Handler: n, ReadHeaderTimeout: time.Minute}
	go n.server.Serve(listener)
	return n, nil
}

func (n *network) close() {
	n.server.Close()
	n.base.(*http.Transport).CloseIdleConnections()
}

// invocation is one event's handling.
type invocation struct {
	// lost: its process was killed, ran out of time or was in the outage; what it had begun on S3 may stay there.
	lost atomic.Bool
}

// begin sets the fate of the invocation that starts now.
func (n *network) begin(f fate) *invocation {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fate, n.calls, n.cutOff, n.now = f, 0, false, &invocation{}
	return n.now
}

func (n *network) killed() bool { return n.hasEnd.Load() }

// next decides what happens to the call that comes now.
func (n *network) next() (fault string, killNow, cutOff bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
	if n.random.IntN(failEvery) == 0 {
		fault = faults[n.random.IntN(len(faults))]
	}
	if n.fate.cutOffAt > 0 && n.calls >= n.fate.cutOffAt {
		n.cutOff = true
	}
	return fault, n.fate.killAt > 0 && n.calls >= n.fate.killAt, n.cutOff
}

// ServeHTTP implements http.Handler.
func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the process died while it sent it
	}
	fault, killNow, cutOff := n.next()
	if cutOff {
		<-r.Context().Done()
		return
	}
	if killNow && !n.afterCall() {
		n.kill()
		return
	}
	// The API is left alone: what it cannot put into a queue has failed, and its client knows.
	if n.w.outage.Load() && n.s.fn.name != "api" {
		n.w.count("calls in the outage")
		n.mu.Lock()
		n.now.lost.Store(true) // it may not reach S3 to give back what it had begun
		n.mu.Unlock()
		hangUp()
	}
	n.w.count("calls")
	if killNow {
		fault = ""
	}
	if fault != "" {
		n.w.count(fault)
	}
	switch fault {
	case faultError, faultThrottled:
		refuse(w, r, fault)
		return
	case faultCut:
		hangUp()
		return
	}
	res, answer, err := n.forward(r, body)
	if err != nil {
		hangUp()
		return
	}
	n.remember(r, answer, fault == faultLost || killNow)
	switch {
	case killNow:
		n.kill()
		return
	case fault == faultLost && (r.Method != http.MethodGet || len(answer) == 0):
		hangUp()
		return
	}
	for name, values := range res.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(res.StatusCode)
	if fault == faultLost { // of what is read, a half arrives
		w.Write(answer[:len(answer)/2])
		hangUp()
		return
	}
	w.Write(answer)
}

func (n *network) afterCall() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fate.afterCall
}

// kill ends the process of the network in the midst of a call.
func (n *network) kill() {
	n.hasEnd.Store(true)
	n.s.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-n.s.exited
}

func (n *network) forward(r *http.Request, body []byte) (*http.Response, []byte, error) {
	// The call is carried out even if its process dies meanwhile.
	out, err := http.NewRequest(r.Method, n.w.endpoint+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	out.Header = r.Header.Clone()
	out.Host = r.Host
	out.ContentLength = int64(len(body))
	res, err := n.base.RoundTrip(out)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res, answer, err
}

// remember writes down which process began which upload, and whether it was told so.
func (n *network) remember(r *http.Request, answer []byte, unheard bool) {
	if service(r) != "s3" || r.Method != http.MethodPost || !r.URL.Query().Has("uploads") {
		return
	}
	var begun struct {
		ID string `xml:"UploadId"`
	}
	if xml.Unmarshal(answer, &begun) == nil && begun.ID != "" {
		_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		n.mu.Lock()
		defer n.mu.Unlock()
		n.w.uploads.Store(begun.ID, upload{n.now, n.s.fn.name, key, unheard})
	}
}

// upload is where a multipart upload was begun.
type upload struct {
	by      *invocation
	of      string // function
	key     string
	unheard bool // the process was not told, so nobody knows its id
}

// service is the one that a call is signed for.
func service(r *http.Request) string {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if parts := strings.Split(scope, "/"); len(parts) > 3 {
		return parts[3]
	}
	return ""
}

// refuse answers as the service does in trouble.
func refuse(w http.ResponseWriter, r *http.Request, fault string) {
	status, code := http.StatusInternalServerError, "InternalError"
	kind := "application/x-amz-json-1.0"
	switch service(r) {
	case "dynamodb":
		code = "com.amazonaws.dynamodb.v20120810#InternalServerError"
		if fault == faultThrottled {
			status, code = http.StatusBadRequest, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
		}
	case "sqs":
		if fault == faultThrottled {
			status, code = http.StatusForbidden, "com.amazonaws.sqs#RequestThrottled"
		}
	case "s3":
		if fault == faultThrottled {
			status, code = http.StatusServiceUnavailable, "SlowDown"
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		io.WriteString(w, "<Error><Code>"+code+"</Code><Message>chaos</Message></Error>")
		return
	}
	body := `{"__type":"` + code + `","message":"chaos"}`
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(body))), 10)) // DynamoDB's clients expect it
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// hangUp cuts the connection.
func hangUp() {
	panic(http.ErrAbortHandler)
}
