package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	connections = 8
	// slice is how long one side is asked at a time: the sides take turns, so that a busy machine is busy for
	// both.
	slice  = 2 * time.Second
	rounds = 3
)

// asked is one call of the API: a GET, or a POST of body.
type asked struct{ url, body string }

// speed is what a load generator saw of one side.
type speed struct {
	calls int
	took  time.Duration
	p50   time.Duration // of the slice with the lowest
}

func (s speed) perSecond() float64 { return float64(s.calls) / max(s.took.Seconds(), 1e-9) }

func (s speed) add(o speed) speed {
	return speed{s.calls + o.calls, s.took + o.took, shorter(s.p50, o.p50)}
}

// generator makes load for a slice of time; every answer must be a success.
type generator func(ctx context.Context, call asked) (speed, error)

// newGenerator is wrk where it is installed, else a loop of our own, for both sides the same.
func newGenerator(temp string) (generator, string) {
	if path, err := exec.LookPath("wrk"); err == nil {
		return func(ctx context.Context, call asked) (speed, error) { return wrk(ctx, path, temp, call) }, "wrk"
	}
	progress("wrk is not installed (apt-get install wrk): a load generator in Go takes its place, for both sides")
	return goLoad, "a Go load generator"
}

var (
	wrkTotal   = regexp.MustCompile(`(\d+) requests in ([\d.]+\w+),`)
	wrkMedian  = regexp.MustCompile(`50%\s+([\d.]+\w+)`)
	wrkRefused = regexp.MustCompile(`Non-2xx or 3xx responses: \d+|Socket errors: .*`)
)

func wrk(ctx context.Context, path, temp string, call asked) (speed, error) {
	args := []string{"-t1", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", int(slice.Seconds())), "--latency", "--timeout", "30s"}
	if call.body != "" {
		script := filepath.Join(temp, "post.lua")
		text := fmt.Sprintf("wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = [[%s]]\n", call.body)
		if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
			return speed{}, err
		}
		args = append(args, "-s", script)
	}
	out, err := output(exec.CommandContext(ctx, path, append(args, call.url)...))
	if err != nil {
		return speed{}, err
	}
	total, median := wrkTotal.FindStringSubmatch(out), wrkMedian.FindStringSubmatch(out)
	if total == nil || median == nil {
		return speed{}, fmt.Errorf("wrk printed something else than expected:\n%s", out)
	}
	if refused := wrkRefused.FindString(out); refused != "" {
		return speed{}, fmt.Errorf("%s: %s", call.url, refused)
	}
	var s speed
	if s.calls, err = strconv.Atoi(total[1]); err == nil {
		s.took, err = time.ParseDuration(total[2])
	}
	if err == nil {
		s.p50, err = time.ParseDuration(median[1])
	}
	return s, err
}

// goLoad asks over a few connections for a slice of time.
func goLoad(ctx context.Context, call asked) (speed, error) {
	ctx, cancel := context.WithTimeout(ctx, slice)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}}
	defer client.CloseIdleConnections()
	var (
		mu    sync.Mutex
		times []time.Duration
		errs  []error
		all   sync.WaitGroup
	)
	started := time.Now()
	for range connections {
		all.Go(func() {
			for {
				at := time.Now()
				err := once(ctx, client, call)
				if ctx.Err() != nil {
					return // the call that the end cut off does not count
				}
				mu.Lock()
				times = append(times, time.Since(at))
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil || len(times) == 0 {
		return speed{}, errors.Join(err, fmt.Errorf("%s: %d answers", call.url, len(times)))
	}
	slices.Sort(times)
	return speed{len(times), time.Since(started), times[len(times)/2]}, nil
}

func once(ctx context.Context, client *http.Client, call asked) error {
	method := http.MethodGet
	if call.body != "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(ctx, method, call.url, strings.NewReader(call.body))
	if err != nil {
		return err
	}
	if call.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", call.url, answer.Status)
	}
	return nil
}
