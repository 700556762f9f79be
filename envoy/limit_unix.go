//go:build unix

package envoy

import "syscall"

// raiseFileLimit lets Envoy open as many files as the system allows. Go raises its own limit at start
// but hands the former one, often 1024, to its children, unless the program has set it itself.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	limit.Cur = limit.Max
	// macOS refuses more than its own maximum; Envoy then lives with what it had.
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
