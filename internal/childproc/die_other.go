//go:build !linux

package childproc

import (
	"os/exec"
	"syscall"
)

// dieWithParent only keeps a terminal's Ctrl-C from the child: no other system has Linux's death signal.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}
