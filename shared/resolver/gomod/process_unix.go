//go:build unix

package gomod

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// inOwnGroup lets a cancelled command be killed with everything it started.
func inOwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
