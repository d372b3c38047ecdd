package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// best runs a command n times and returns the shortest time.
func best(n int, command func() *exec.Cmd) (time.Duration, error) {
	least := time.Duration(0)
	for range n {
		started := time.Now()
		if _, err := output(command()); err != nil {
			return 0, err
		}
		least = shorter(least, time.Since(started))
	}
	return least, nil
}

// shorter is the lesser of two times, of which zero is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b < a {
		return b
	}
	return a
}

// peakMemory is the most resident memory that a running process ever had, in bytes (Linux).
func peakMemory(pid int) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmHWM")
}

// memoryEvery is how often a process that ends by itself is looked at. Its peak only grows, so no more
// than what came in the last moment is missed.
const memoryEvery = 10 * time.Millisecond

// outputAndMemory is output with the process's own peak memory. The kernel's resource usage of a child
// would not do: it includes the largest of the child's children, such as the go command.
func outputAndMemory(c *exec.Cmd) (printed string, memory float64, err error) {
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Start(); err != nil {
		return "", 0, err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	for {
		select {
		case err := <-done:
			if err != nil {
				return "", 0, fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, stderr.String())
			}
			return stdout.String(), memory, nil
		case <-time.After(memoryEvery):
			// Fails in the moment when the process is gone.
			if now, err := peakMemory(c.Process.Pid); err == nil {
				memory = max(memory, now)
			}
		}
	}
}

// installedGo is the running go command's version: 1.26.0.
func installedGo(ctx context.Context) (string, error) {
	out, err := output(exec.CommandContext(ctx, "go", "env", "GOVERSION"))
	if err != nil {
		return "", err
	}
	version := strings.TrimPrefix(strings.Fields(out)[0], "go")
	if strings.Count(version, ".") == 1 {
		version += ".0"
	}
	return version, nil
}

func output(c *exec.Cmd) (string, error) {
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, stderr.String())
	}
	return string(out), nil
}
