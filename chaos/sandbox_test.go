package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// function is one Lambda function: a program that speaks to Lambda's runtime API.
type function struct {
	name, program string
	env           []string
	timeout       time.Duration
	world         *world

	mu   sync.Mutex
	idle []*sandbox
	// tmp are the temporary folders of processes that were killed: Lambda starts the next one on what they left.
	tmp []string
}

// event is one invocation's input, and what is to happen to it.
type event struct {
	body []byte
	fate fate
}

// How an invocation ended.
const (
	answered = "answered"
	faulted  = "error" // the function reported an error
	killed   = "killed"
	timedOut = "timed out"
	crashed  = "crashed" // by itself
)

// invoke runs the event in a sandbox that is free, or in a new one, as Lambda does.
func (f *function) invoke(ctx context.Context, e event) (ending string, answer []byte, err error) {
	s, err := f.take(ctx)
	if err != nil {
		return "", nil, err
	}
	ending, answer = s.run(e)
	if ending == answered || ending == faulted {
		f.mu.Lock()
		f.idle = append(f.idle, s)
		f.mu.Unlock()
	} else {
		s.end()
	}
	return ending, answer, nil
}

func (f *function) take(ctx context.Context) (*sandbox, error) {
	f.mu.Lock()
	if n := len(f.idle); n > 0 {
		s := f.idle[n-1]
		f.idle = f.idle[:n-1]
		f.mu.Unlock()
		return s, nil
	}
	f.mu.Unlock()
	return f.start(ctx)
}

// stop ends the sandboxes that are free.
func (f *function) stop() {
	f.mu.Lock()
	idle := f.idle
	f.idle = nil
	f.mu.Unlock()
	for _, s := range idle {
		s.end()
	}
	for _, tmp := range f.tmp {
		os.RemoveAll(tmp)
	}
}

// folder is the temporary folder of the next process.
func (f *function) folder() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.tmp); n > 0 {
		tmp := f.tmp[n-1]
		f.tmp = f.tmp[:n-1]
		return tmp, nil
	}
	return os.MkdirTemp(f.world.tmp, f.name+"-")
}

// sandbox is one process of a function with its own runtime API, network and temporary folder.
type sandbox struct {
	fn      *function
	cmd     *exec.Cmd
	tmp     string
	network *network
	server  *http.Server
	events  chan []byte
	answers chan answer
	exited  chan struct{}
}

type answer struct {
	ending string
	body   []byte
}

func (f *function) start(ctx context.Context) (*sandbox, error) {
	tmp, err := f.folder()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sandbox{
		fn: f, tmp: tmp, events: make(chan []byte), answers: make(chan answer, 1), exited: make(chan struct{}),
	}
	if s.network, err = f.world.newNetwork(s); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.server = &http.Server{Handler: http.HandlerFunc(s.runtimeAPI), ReadHeaderTimeout: time.Minute}
	go s.server.Serve(listener)
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), f.program)
	s.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + tmp, "TMPDIR=" + tmp,
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=" + f.name, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512",
		"AWS_ENDPOINT_URL=" + s.network.url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true", "_HANDLER=bootstrap",
	}, f.env...)
	s.cmd.Stdout, s.cmd.Stderr = f.world.logs, f.world.logs
	if err := s.cmd.Start(); err != nil {
		s.server.Close()
		s.network.close()
		return nil, fmt.Errorf("starting function %s: %w", f.name, err)
	}
	go func() {
		s.cmd.Wait() //nolint:errcheck // killing is how it ends
		close(s.exited)
	}()
	return s, nil
}

// runtimeAPI is https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func (s *sandbox) runtimeAPI(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		return
	}
	switch name := path.Base(r.URL.Path); {
	case name == "next":
		select {
		case e := <-s.events:
			h := w.Header()
			h.Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprintf("00000000-0000-0000-0000-%012d", time.Now().UnixNano()%1e12))
			h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(s.fn.timeout).UnixMilli(), 10))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:"+s.fn.name)
			w.Write(e)
		case <-r.Context().Done():
		case <-s.exited:
		}
		return
	case name == "response":
		s.answers <- answer{answered, body}
	case name == "error" && path.Base(path.Dir(r.URL.Path)) != "init":
		s.answers <- answer{faulted, body}
	default:
		s.answers <- answer{crashed, body}
	}
	w.WriteHeader(http.StatusAccepted)
}

// coldStart is how long a process may take until it asks for its first event.
const coldStart = 30 * time.Second

// run has the process handle one event, within the function's time.
func (s *sandbox) run(e event) (string, []byte) {
	now := s.network.begin(e.fate)
	select {
	case s.events <- e.body:
	case <-s.exited:
		return crashed, nil
	case a := <-s.answers: // its start failed
		return a.ending, a.body
	case <-time.After(coldStart):
		s.kill()
		return crashed, []byte("it does not ask for an event")
	}
	deadline := time.NewTimer(s.fn.timeout)
	defer deadline.Stop()
	var at <-chan time.Time
	if e.fate.killAfter > 0 {
		timer := time.NewTimer(e.fate.killAfter)
		defer timer.Stop()
		at = timer.C
	}
	select {
	case a := <-s.answers:
		s.network.begin(fate{})
		return a.ending, a.body
	case <-s.exited:
		if s.network.killed() {
			now.lost.Store(true)
			return killed, nil
		}
		return crashed, nil
	case <-at:
		now.lost.Store(true)
		s.kill()
		return killed, nil
	case <-deadline.C:
		now.lost.Store(true)
		s.kill()
		return timedOut, nil
	}
}

// kill is SIGKILL: the process does nothing any more.
func (s *sandbox) kill() {
	s.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-s.exited
}

// end gives back what the sandbox has. Its process is killed when it still runs, as Lambda ends idle ones.
func (s *sandbox) end() {
	s.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-s.exited
	s.server.Close()
	s.network.close()
	// Whatever earlier processes left in it, this one has removed at its start.
	left, err := filepath.Glob(filepath.Join(s.tmp, "cachito-function-*"))
	if err != nil || len(left) > 1 {
		s.fn.world.t.Errorf("function %s: its temporary folder holds those of dead processes: %v, %v", s.fn.name, left, err)
	}
	s.fn.mu.Lock()
	defer s.fn.mu.Unlock()
	s.fn.tmp = append(s.fn.tmp, s.tmp)
}
