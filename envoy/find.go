package envoy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Binary is an Envoy that was found and asked for its version.
type Binary struct {
	Path    string
	Version Version
	// From says where it was found, for the log: "--envoy-path", "ENVOY_PATH", "PATH", "the tools folder".
	From string
}

// Find looks for an Envoy of at least [MinVersion]. An explicit path is taken or refused, with no
// second choice; so is one named by the environment variable ENVOY_PATH. Otherwise it is the first good
// one of PATH and of the tools folder that `make tools` fills: .tools beside the executable, in the
// folder above it, or in the working directory or a folder above that.
//
// A nil getenv is [os.Getenv], a nil lookPath is [exec.LookPath]. The error is one sentence that says
// what was found, where, and what to do.
func Find(ctx context.Context, explicit string, getenv func(string) string, lookPath func(string) (string, error)) (Binary, error) {
	if getenv == nil {
		getenv = os.Getenv
	}
	if lookPath == nil {
		lookPath = exec.LookPath
	}
	for _, named := range []struct{ path, from string }{
		{explicit, "the --envoy-path flag"},
		{getenv("ENVOY_PATH"), "ENVOY_PATH"},
	} {
		if named.path == "" {
			continue
		}
		b, err := examine(ctx, named.path, named.from)
		if err != nil {
			return Binary{}, fmt.Errorf("the Envoy that %s names can't be used: %w; name one of %s or newer, or none to have it looked for", named.from, err, MinVersion)
		}
		return b, nil
	}
	var refused []string
	if path, err := lookPath("envoy"); err == nil {
		b, err := examine(ctx, path, "PATH")
		if err == nil {
			return b, nil
		}
		refused = append(refused, err.Error())
	}
	for _, path := range toolsCandidates() {
		b, err := examine(ctx, path, "the tools folder")
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			refused = append(refused, err.Error())
		}
	}
	advice := fmt.Sprintf("run `make tools`, install Envoy %s or newer on PATH, or name it with --envoy-path or ENVOY_PATH", MinVersion)
	if len(refused) > 0 {
		return Binary{}, fmt.Errorf("no usable Envoy: %s; %s", strings.Join(refused, "; "), advice)
	}
	return Binary{}, fmt.Errorf("no Envoy on PATH and none in .tools: %s", advice)
}

// examine asks the program at path for its version.
func examine(ctx context.Context, path, from string) (Binary, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Binary{}, err // names the path
	}
	if info.IsDir() {
		return Binary{}, fmt.Errorf("%s is a directory", path)
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return Binary{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return Binary{}, fmt.Errorf("%s --version failed: %w", path, err)
	}
	v, err := ParseVersion(string(out))
	if err != nil {
		return Binary{}, fmt.Errorf("%s --version: %w", path, err)
	}
	if v.Less(MinVersion) {
		return Binary{}, fmt.Errorf("%s is %s, older than %s", path, v, MinVersion)
	}
	return Binary{Path: path, Version: v, From: from}, nil
}

// toolsCandidates lists where `make tools` may have put an Envoy, nearest first.
func toolsCandidates() []string {
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		dirs = append(dirs, filepath.Dir(exe), filepath.Dir(filepath.Dir(exe)))
	}
	if wd, err := os.Getwd(); err == nil {
		// A parent only if it is the project's own: an .tools of a stranger is nobody's choice.
		for dir := wd; ; dir = filepath.Dir(dir) {
			if dir == wd || exists(filepath.Join(dir, "tools", "requirements.txt")) {
				dirs = append(dirs, dir)
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	var paths []string
	for _, dir := range dirs {
		paths = append(paths, filepath.Join(dir, ".tools", "envoy"))
	}
	return paths
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
