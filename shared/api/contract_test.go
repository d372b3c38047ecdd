package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/packages"
)

// contractCase is one line of testdata/cases-*.jsonl: calls to an API that began empty.
type contractCase struct {
	ID    string
	Why   string
	Cfg   map[string]json.RawMessage
	Setup [][]json.RawMessage
	contractCall
	Then         []contractCall
	Differs      string // from upstream, in this way
	UpstreamOnly string // what of the case is upstream's alone
}

type contractCall struct {
	Do, As, Base string
	Body         json.RawMessage
	Raw          *string
	CT           string
	Hdr          map[string]string

	Status      int
	Error       *string
	ErrorStarts *string
	ErrorHas    *string
	JSON        json.RawMessage
	Has         json.RawMessage
	HasNot      []string
	IDs         []int64
	Text        *string
	TextHas     *string
	Header      map[string]string
}

// TestContract runs the cases that Cachito's own service was measured against. CACHITO_CONTRACT_CASES
// names a folder with more of them.
func TestContract(t *testing.T) { testContract(t, newWorld) }

// testContract runs every case in a world of its own.
func testContract(t *testing.T, open func(t testing.TB, cfg api.Config, change ...func(*api.Deps)) *world) {
	t.Helper()
	folders := []string{"testdata"}
	if more := os.Getenv("CACHITO_CONTRACT_CASES"); more != "" {
		folders = append(folders, more)
	}
	n := 0
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "cases-*.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			t.Fatalf("no cases-*.jsonl in %s", folder)
		}
		for _, file := range files {
			for _, c := range readCases(t, file) {
				n++
				t.Run(c.ID+" "+c.Why, func(t *testing.T) {
					t.Parallel()
					for _, problem := range runCase(t, c, open) {
						t.Error(problem)
					}
				})
			}
		}
	}
	if n < 236 {
		t.Errorf("%d cases were found; the contract has 236", n)
	}
}

func readCases(t *testing.T, file string) []contractCase {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []contractCase
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		var c contractCase
		if err := dec.Decode(&c); err != nil {
			t.Fatalf("%s:%d: %v", file, n, err)
		}
		list = append(list, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return list
}

// runCase gives what is wrong with the answers.
func runCase(t *testing.T, c contractCase, open func(t testing.TB, cfg api.Config, change ...func(*api.Deps)) *world) []string {
	t.Helper()
	w := open(t, configure(t, c.Cfg))
	setUp(t, w, c.Setup)
	problems := w.compare(c.contractCall)
	for i, call := range c.Then {
		for _, p := range w.compare(call) {
			problems = append(problems, fmt.Sprintf("then %d: %s", i+1, p))
		}
	}
	if strings.HasPrefix(c.ID, "B") { // refused input leaves nothing behind
		n, err := w.store.Counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n.Total != 0 {
			problems = append(problems, fmt.Sprintf("%d requests were stored, want none", n.Total))
		}
	}
	return problems
}

func configure(t *testing.T, overrides map[string]json.RawMessage) api.Config {
	t.Helper()
	cfg := settings()
	for name, raw := range overrides {
		var to any
		logs := new(string)
		switch name {
		case "CACHITO_PACKAGE_MANAGERS":
			to = &cfg.PackageManagers
		case "CACHITO_DEFAULT_PACKAGE_MANAGERS":
			to = &cfg.DefaultPackageManagers
		case "CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS":
			to = &cfg.MutuallyExclusive
		case "CACHITO_MAX_PER_PAGE":
			to = &cfg.MaxPerPage
		case "CACHITO_USER_REPRESENTATIVES":
			to = &cfg.UserRepresentatives
		case "CACHITO_WORKER_USERNAMES":
			to = &cfg.WorkerUsernames
		case "LOGIN_DISABLED":
			to = &cfg.LoginDisabled
		case "CACHITO_REQUEST_FILE_LOGS_DIR":
			to = &logs
		default:
			t.Fatalf("cfg: setting %s is not known", name)
		}
		decode(t, raw, to)
		if name == "CACHITO_REQUEST_FILE_LOGS_DIR" {
			cfg.LogsEnabled = logs != nil
		}
	}
	return cfg
}

func decode(t *testing.T, raw json.RawMessage, to any) {
	t.Helper()
	if err := json.Unmarshal(raw, to); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
}

// setUp prepares the store. Times of states are set by the clock that the adapters are given, so they
// are collected first.
func setUp(t *testing.T, w *world, steps [][]json.RawMessage) {
	t.Helper()
	moments := map[int64][]time.Time{}
	for _, step := range steps {
		var name string
		decode(t, step[0], &name)
		if name != "created" && name != "times" {
			continue
		}
		var id int64
		decode(t, step[1], &id)
		var texts []string
		if name == "created" {
			texts = make([]string, 1)
			decode(t, step[2], &texts[0])
		} else {
			decode(t, step[2], &texts)
		}
		for _, text := range texts {
			moment, err := time.Parse("2006-01-02T15:04:05", text)
			if err != nil {
				t.Fatal(err)
			}
			moments[id] = append(moments[id], moment)
		}
	}
	// next is the time of the next state of a request.
	next := func(id int64) time.Time {
		if len(moments[id]) == 0 {
			return time.Time{}
		}
		first := moments[id][0]
		moments[id] = moments[id][1:]
		return first
	}
	posted := int64(0)
	for _, step := range steps {
		var name string
		decode(t, step[0], &name)
		id := int64(0)
		if len(step) == 3 && name != "post" {
			decode(t, step[1], &id)
		}
		target := fmt.Sprintf("/api/v1/requests/%d", id)
		switch name {
		case "post":
			posted++
			as := user
			if len(step) == 3 {
				decode(t, step[2], &as)
			}
			w.at(next(posted), func() { w.must(http.MethodPost, "/api/v1/requests", as, step[1]) })
		case "patch":
			w.at(next(id), func() { w.must(http.MethodPatch, target, worker, step[2]) })
		case "config":
			w.must(http.MethodPost, target+"/configuration-files", worker, step[2])
		case "packages":
			var list []packages.Package
			decode(t, step[2], &list)
			w.storePackages(id, list)
		case "bundle", "bundle-bad":
			var text string
			decode(t, step[2], &text)
			stored := ""
			if name == "bundle-bad" {
				stored = strings.Repeat("0", 64)
			}
			w.storeBundle(id, []byte(text), stored)
		case "log":
			var text string
			decode(t, step[2], &text)
			w.storeLog(id, text)
		case "queue-down":
			w.queue.err = errors.New("the queue is down")
		case "health":
			var h struct {
				Services map[string]string
				Workers  map[string]*string
			}
			decode(t, step[1], &h)
			w.health = &api.Health{Services: services(h.Services)}
			for name, reason := range h.Workers {
				worker := api.Worker{Name: name}
				if reason != nil {
					worker.Reason = *reason
				}
				w.health.Workers = append(w.health.Workers, worker)
			}
		case "created", "times":
		default:
			t.Fatalf("setup: step %q is not known", name)
		}
	}
	for id, rest := range moments {
		if len(rest) > 0 {
			t.Fatalf("setup: %d times of request %d belong to no state", len(rest), id)
		}
	}
}

// compare makes the call and gives what is wrong with its answer.
func (w *world) compare(c contractCall) []string {
	w.t.Helper()
	method, target, _ := strings.Cut(c.Do, " ")
	var header []string
	body := []byte(c.Body)
	if c.Raw != nil {
		body = []byte(*c.Raw)
		header = append(header, "Content-Type", c.CT)
	} else if c.Body != nil {
		header = append(header, "Content-Type", "application/json")
	}
	for name, value := range c.Hdr {
		header = append(header, name, value)
	}
	if c.Base != "" {
		target = c.Base + target
	}
	out := w.ask(method, target, c.As, body, header...)
	problems := c.judge(out)
	if method == http.MethodGet {
		problems = append(problems, headMirrors(out, w.ask(http.MethodHead, target, c.As, body, header...))...)
	}
	if len(problems) > 0 {
		problems = append(problems, fmt.Sprintf("%s answered %d %s\n%s", c.Do, out.Code, out.Header(), out.Body))
	}
	return problems
}

func (c contractCall) judge(out *httptest.ResponseRecorder) []string {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if out.Code != c.Status {
		bad("status %d, want %d", out.Code, c.Status)
	}
	text := out.Body.String()
	if c.Text != nil && text != *c.Text {
		bad("text (-want +got):\n%s", cmp.Diff(*c.Text, text))
	}
	if c.TextHas != nil && !strings.Contains(text, *c.TextHas) {
		bad("text does not hold %q", *c.TextHas)
	}
	for name, want := range c.Header {
		if got := out.Header().Get(name); got != want {
			bad("header %s: got %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(out.Header().Get("Content-Type"), "json") {
		if c.JSON != nil || c.Has != nil || c.Error != nil || c.ErrorStarts != nil || c.ErrorHas != nil || c.IDs != nil || c.HasNot != nil {
			bad("the answer is %q, want JSON", out.Header().Get("Content-Type"))
		}
		return problems
	}
	if text == "" {
		return problems
	}
	problems = append(problems, wellFormed(out.Body.Bytes())...)
	got, err := decodeNumbers(out.Body.Bytes())
	if err != nil {
		bad("answer: %v", err)
		return problems
	}
	object, _ := got.(map[string]any)
	message, _ := object["error"].(string)
	switch {
	case c.Error != nil && message != *c.Error:
		bad("error %q, want %q", message, *c.Error)
	case c.ErrorStarts != nil && !strings.HasPrefix(message, *c.ErrorStarts):
		bad("error %q, want a beginning %q", message, *c.ErrorStarts)
	case c.ErrorHas != nil && !strings.Contains(message, *c.ErrorHas):
		bad("error %q, want %q in it", message, *c.ErrorHas)
	}
	for _, key := range c.HasNot {
		if _, there := object[key]; there {
			bad("key %q is there", key)
		}
	}
	if c.IDs != nil {
		ids := []int64{}
		items, _ := object["items"].([]any)
		for _, item := range items {
			id, _ := item.(map[string]any)["id"].(json.Number)
			n, _ := id.Int64()
			ids = append(ids, n)
		}
		if !slices.Equal(ids, c.IDs) {
			bad("ids %v, want %v", ids, c.IDs)
		}
	}
	for _, part := range []struct {
		raw   json.RawMessage
		whole bool
	}{{c.JSON, true}, {c.Has, false}} {
		if part.raw == nil {
			continue
		}
		want, err := decodeNumbers(part.raw)
		if err != nil {
			bad("case: %v", err)
			continue
		}
		problems = append(problems, matches("answer", want, got, part.whole)...)
	}
	return problems
}

func decodeNumbers(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err
}

// matches compares an answer with what a case wants of it: the whole, or of objects the named keys.
func matches(at string, want, got any, whole bool) []string {
	differ := []string{fmt.Sprintf("%s: got %#v, want %#v", at, got, want)}
	switch want := want.(type) {
	case string:
		text, ok := got.(string)
		switch {
		case want == "$ANY":
			return nil
		case want == "$TS":
			if _, err := time.Parse("2006-01-02T15:04:05.000000", text); err != nil || len(text) != 26 {
				return differ
			}
			return nil
		case strings.HasPrefix(want, "endsWith:"):
			if !strings.HasSuffix(text, strings.TrimPrefix(want, "endsWith:")) {
				return differ
			}
			return nil
		case !ok || text != want:
			return differ
		}
		return nil
	case json.Number:
		n, ok := got.(json.Number)
		if !ok {
			return differ
		}
		a, errA := want.Float64()
		b, errB := n.Float64()
		if errA != nil || errB != nil || a != b {
			return differ
		}
		return nil
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return differ
		}
		var problems []string
		for i := range want {
			problems = append(problems, matches(fmt.Sprintf("%s[%d]", at, i), want[i], list[i], whole)...)
		}
		return problems
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return differ
		}
		var problems []string
		for key, value := range want {
			inner, there := object[key]
			if !there {
				problems = append(problems, fmt.Sprintf("%s: key %q is missing", at, key))
				continue
			}
			problems = append(problems, matches(at+"."+key, value, inner, whole)...)
		}
		for key := range object {
			if _, known := want[key]; whole && !known {
				problems = append(problems, fmt.Sprintf("%s: key %q is too much", at, key))
			}
		}
		return problems
	}
	if want != got {
		return differ
	}
	return nil
}

// wellFormed checks what holds for every JSON answer: ASCII, a newline at the end, keys sorted.
func wellFormed(raw []byte) []string {
	var problems []string
	if !bytes.HasSuffix(raw, []byte("\n")) {
		problems = append(problems, "the answer does not end with a newline")
	}
	if bytes.ContainsFunc(raw, func(r rune) bool { return r > 0x7f }) {
		problems = append(problems, "the answer is not ASCII")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	var walk func() error
	walk = func() error {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		open, ok := token.(json.Delim)
		if !ok {
			return nil
		}
		last := ""
		for first := true; dec.More(); first = false {
			if open == '{' {
				key, err := dec.Token()
				if err != nil {
					return err
				}
				if !first && key.(string) <= last {
					return fmt.Errorf("key %q comes after %q", key, last)
				}
				last = key.(string)
			}
			if err := walk(); err != nil {
				return err
			}
		}
		_, err = dec.Token()
		return err
	}
	if err := walk(); err != nil {
		problems = append(problems, "the answer's form: "+err.Error())
	}
	return problems
}

// headMirrors checks that HEAD answers as GET did, without a body.
func headMirrors(get, head *httptest.ResponseRecorder) []string {
	var problems []string
	if head.Code != get.Code {
		problems = append(problems, fmt.Sprintf("HEAD answers %d, GET %d", head.Code, get.Code))
	}
	if head.Body.Len() > 0 {
		problems = append(problems, fmt.Sprintf("HEAD has a body: %s", head.Body))
	}
	if strings.HasPrefix(get.Header().Get("Content-Type"), "text/plain; version=") {
		return problems // Prometheus text counts the calls themselves
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Digest", "ETag", "Content-Disposition"} {
		if a, b := get.Header().Get(name), head.Header().Get(name); a != b {
			problems = append(problems, fmt.Sprintf("header %s: HEAD has %q, GET %q", name, b, a))
		}
	}
	return problems
}
