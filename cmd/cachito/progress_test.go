package main

import (
	"strings"
	"testing"
	"time"

	"github.com/cachito-serverless/cachito/shared/client"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/google/go-cmp/cmp"
)

// show runs a reporter through views, two seconds apart.
func show(terminal bool, width int, views ...view) string {
	var out strings.Builder
	clock := time.Unix(0, 0)
	r := newReporter(&out, func() time.Time { return clock })
	r.terminal, r.width = terminal, func() int { return width }
	for _, v := range views {
		clock = clock.Add(2 * time.Second)
		r.update(v)
	}
	r.end()
	return out.String()
}

func step(state request.StepState, done, total, bytes int64) client.StepProgress {
	return client.StepProgress{State: state, Progress: request.Progress{Done: done, Total: total, Bytes: bytes}}
}

func TestReporter(t *testing.T) {
	waiting, done := request.StepWaiting, request.StepDone
	tests := []struct {
		name     string
		terminal bool
		width    int
		views    []view
		want     string
	}{
		{
			"every reason once", false, 80,
			[]view{{reasons: []string{"a"}}, {reasons: []string{"a", "b"}}, {reasons: []string{"a", "b"}}},
			"   2.0s  a\n   4.0s  b\n",
		},
		{
			"plain progress now and then", false, 80,
			[]view{
				{steps: client.Progress{"resolve-x": step(waiting, 1, 9, 1500)}},
				{steps: client.Progress{"resolve-x": step(waiting, 2, 9, 2500)}},
				{steps: client.Progress{"resolve-x": step(waiting, 3, 9, 3500), "source": step(done, 1, 1, 1)}},
				{steps: client.Progress{"resolve-x": step(waiting, 4, 9, 3500)}},
			},
			"   6.0s  x 3/9 3.5 kB\n",
		},
		{
			"unchanged progress is not repeated", false, 80,
			[]view{
				{},
				{},
				{steps: client.Progress{"resolve-x": step(waiting, 1, 9, 0)}},
				{},
				{},
				{steps: client.Progress{"resolve-x": step(waiting, 1, 9, 0)}},
			},
			"   6.0s  x 1/9\n",
		},
		{
			"bars on a terminal", true, 80,
			[]view{
				{reasons: []string{"a"}, steps: client.Progress{"resolve-y": step(waiting, 0, 0, 0), "resolve-x": step(waiting, 1, 2, 0)}},
				{reasons: []string{"a", "b"}, steps: client.Progress{"resolve-x": step(done, 2, 2, 0)}},
			},
			"   2.0s  a\nx ████████████░░░░░░░░░░░░ 1/2\r\x1b[K   4.0s  b\n",
		},
		{
			"bars stay one line", true, 10,
			[]view{{steps: client.Progress{"resolve-x": step(waiting, 3, 2, 0)}}},
			"x ███████\r\x1b[K",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, show(tt.terminal, tt.width, tt.views...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHumanBytes(t *testing.T) {
	tests := []struct {
		n    int64
		want string
	}{
		{0, "0 B"},
		{999, "999 B"},
		{1000, "1.0 kB"},
		{999_949, "999.9 kB"},
		{999_950, "1.0 MB"},
		{42_123_456, "42.1 MB"},
		{1 << 62, "4.6 EB"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			if got := humanBytes(tt.n); got != tt.want {
				t.Errorf("%d: got %s, want %s", tt.n, got, tt.want)
			}
		})
	}
}
