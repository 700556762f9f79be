package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"github.com/sluicegw/sluice/envoy"
)

// profileEnv names a Unix socket on which sluice answers with profiles of itself, for benchmarks and for
// finding out where a running one spends its time:
//
//	curl --unix-socket $SLUICE_PPROF 'http://sluice/profile?for=10s' >cpu.pprof
//	curl --unix-socket $SLUICE_PPROF 'http://sluice/heap' >heap.pprof
//
// Only this user can open the socket (mode 0600), and profiles hold names of functions, no contents.
const profileEnv = "SLUICE_PPROF"

// longestProfile bounds what one request can ask for.
const longestProfile = 5 * time.Minute

// Profiles are served from the first moment on, a start that hangs included, so this is nobody's step. A
// sluice that cannot serve them says so and works on.
func init() {
	if err := serveProfiles(os.Getenv(profileEnv)); err != nil {
		fmt.Fprintf(os.Stderr, "sluice: no profiles are served: %s: %v\n", profileEnv, err)
	}
}

// serveProfiles listens on the socket at path until the process ends; without a path it does nothing.
func serveProfiles(path string) error {
	if path == "" {
		return nil
	}
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is not the absolute path of a socket to be made", path)
	}
	l, err := envoy.Listen(path)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: profiles(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(l) }() // ends with the process
	return nil
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /profile", cpuProfile)
	for _, name := range []string{"heap", "allocs", "goroutine"} {
		mux.HandleFunc("GET /"+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			_ = pprof.Lookup(name).WriteTo(w, 0) // the client left
		})
	}
	return mux
}

func cpuProfile(w http.ResponseWriter, r *http.Request) {
	d := 10 * time.Second
	if text := r.URL.Query().Get("for"); text != "" {
		var err error
		if d, err = time.ParseDuration(text); err != nil || d <= 0 || d > longestProfile {
			http.Error(w, fmt.Sprintf("for=%q: a duration up to %v, such as 10s", text, longestProfile), http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(w); err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-r.Context().Done():
	case <-time.After(d):
	}
}
