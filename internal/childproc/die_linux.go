package childproc

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel send SIGKILL to the child when the forking thread ends.
// https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	// Its own group: a Ctrl-C at the terminal is for the parent to act on, which then drains.
	cmd.SysProcAttr.Setpgid = true
}
