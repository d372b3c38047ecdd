//go:build !unix

package gomod

import "os/exec"

// inOwnGroup: without process groups the command alone is killed when it is cancelled.
func inOwnGroup(cmd *exec.Cmd) { cmd.Cancel = func() error { return cmd.Process.Kill() } }

func isNotDir(error) bool { return false }
