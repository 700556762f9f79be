package envoy

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// maxSocketPath is what a Unix socket's address can hold, on the tightest system that counts (macOS).
const maxSocketPath = 103

// longestParent leaves room for the names of directory and socket in [maxSocketPath].
const longestParent = maxSocketPath - len("/sluice-4294967295/admin-sluice-4194304.sock")

// NewDir makes a private directory (mode 0700) for the sockets and the bootstrap of one Envoy, under
// parent, or, when parent is empty, under XDG_RUNTIME_DIR or the system's temporary directory: /tmp where
// TMPDIR is too long for a socket's path. The caller removes it.
func NewDir(parent string) (string, error) {
	if parent == "" {
		parent = os.Getenv("XDG_RUNTIME_DIR")
		// The variable survives a sudo into an account without such a directory.
		if parent == "" || !exists(parent) {
			parent = os.TempDir()
		}
		if len(parent) > longestParent && exists("/tmp") {
			parent = "/tmp"
		}
	}
	dir, err := os.MkdirTemp(parent, "sluice-")
	if err != nil {
		return "", fmt.Errorf("make a private directory for Envoy's sockets: %w", err)
	}
	return dir, nil
}

// Listen listens on a Unix socket that its owner alone can dial (mode 0600). A socket that a killed
// process left behind is replaced.
func Listen(path string) (net.Listener, error) {
	if err := checkSocketPath(path); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

func checkSocketPath(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("socket path %q is not absolute", path)
	}
	if len(path) > maxSocketPath {
		return fmt.Errorf("socket path %s has %d bytes, more than the %d that a Unix socket can have: use a shorter runtime directory", path, len(path), maxSocketPath)
	}
	return nil
}
