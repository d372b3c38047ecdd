package main

import (
	"os/exec"
	"testing"
)

// A shell that holds little and starts a child that holds 200 MB.
func TestMemoryIsTheProcessesOwn(t *testing.T) {
	child := `python3 -c 'b = bytearray(200_000_000); b[::4096] = b"x" * len(b[::4096]); import time; time.sleep(0.1)'; sleep 0.1; echo done`
	printed, memory, err := outputAndMemory(exec.Command("sh", "-c", child))
	if err != nil {
		t.Fatal(err)
	}
	if printed != "done\n" {
		t.Errorf("printed %q", printed)
	}
	if memory < 100e3 || memory > 50e6 {
		t.Errorf("got %.0f bytes, want the shell's few and not its child's 200 MB", memory)
	}
}
