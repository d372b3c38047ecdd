package functions_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// running is one function under the Runtime Interface Emulator, which runs the real binary as Lambda does: it
// starts it with the first event, ends it when its time is over, and starts a new one after a crash.
type running struct {
	t      *testing.T
	url    string
	cmd    *exec.Cmd
	output *lockedBuffer
	// temp is the function's /tmp.
	temp string
	// stop ends emulator and function; once is enough.
	stop func()
}

// start begins a function whose time for one event is limit, in whole seconds.
func (p *place) start(t *testing.T, name string, limit time.Duration) *running {
	t.Helper()
	emulator := os.Getenv("CACHITO_TEST_RIE")
	if emulator == "" {
		t.Skip("CACHITO_TEST_RIE is not set: run make test-aws")
	}
	front, api := freeAddress(t), freeAddress(t)
	f := &running{t: t, url: "http://" + front + "/2015-03-31/functions/function/invocations", output: &lockedBuffer{}, temp: t.TempDir()}
	f.cmd = exec.Command(emulator, "--runtime-interface-emulator-address", front, "--runtime-api-address", api, bootstrap(t, name))
	f.cmd.Stdout, f.cmd.Stderr = f.output, f.output
	f.cmd.Env = append(os.Environ(), "TMPDIR="+f.temp, "AWS_LAMBDA_FUNCTION_NAME="+name, fmt.Sprintf("AWS_LAMBDA_FUNCTION_TIMEOUT=%d", int(limit.Seconds())))
	for setting, value := range p.settings {
		f.cmd.Env = append(f.cmd.Env, setting+"="+value)
	}
	// A group of its own: the emulator's functions end with it.
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, f.cmd.Start())
	f.stop = sync.OnceFunc(f.end)
	t.Cleanup(f.stop)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", front)
		if err == nil {
			conn.Close()
			return f
		}
		if time.Now().After(deadline) {
			t.Fatalf("the emulator does not listen: %v\n%s", err, f.output)
		}
	}
}

func (f *running) end() {
	for _, pid := range f.functions() {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	syscall.Kill(-f.cmd.Process.Pid, syscall.SIGKILL)
	var exit *exec.ExitError
	if err := f.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		f.t.Errorf("ending the emulator: %v", err)
	}
	if f.t.Failed() {
		f.t.Logf("log of %s:\n%s", f.cmd.Args[len(f.cmd.Args)-1], f.output)
	}
}

// functions are the processes that the emulator runs now.
func (f *running) functions() []int {
	var pids []int
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", f.cmd.Process.Pid))
	must(f.t, err)
	for _, list := range lists {
		children, err := os.ReadFile(list)
		if err != nil {
			continue // of a thread that has ended
		}
		for word := range strings.FieldsSeq(string(children)) {
			pid, err := strconv.Atoi(word)
			must(f.t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// invoke hands an event to the function and reads its answer, whatever it is.
func (f *running) invoke(event any) []byte {
	f.t.Helper()
	raw, err := json.Marshal(event)
	must(f.t, err)
	resp, err := http.Post(f.url, "application/json", bytes.NewReader(raw))
	must(f.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	must(f.t, err)
	return answer
}

// into is invoke for an answer in this form.
func (f *running) into(answer, event any) {
	f.t.Helper()
	raw := f.invoke(event)
	if err := json.Unmarshal(raw, answer); err != nil || bytes.Contains(raw, []byte(`"errorType"`)) {
		f.t.Fatalf("answer: %.500s (%v)\n%s", raw, err, f.output)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
