package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/xds"
)

const (
	// quiet is how long the files must stay as they are before they are read: editors and config maps
	// change several at once, and a file may be seen half written.
	quiet = 200 * time.Millisecond
	// lookEvery finds what the system does not tell of: network drives, folders that were replaced.
	lookEvery = 10 * time.Second
)

// watch tells when a file of the configuration or the certificate has changed. Folders are watched, not
// files: a replaced file is another one.
func (r *instance) watch(ctx context.Context) <-chan string {
	out := make(chan string)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		r.log.Warn("files are looked at every 10 seconds only, because the system does not tell of changes", "error", err)
		w = &fsnotify.Watcher{}
	}
	folders := map[string]bool{}
	r.watchFolders(w, folders)
	go func() {
		if w.Events != nil {
			defer w.Close()
		}
		r.look(ctx, w, folders, out)
	}()
	return out
}

// look sends the files' sum whenever it has changed and stayed the same for a while. Events only say when
// to look: others may write in the same folders all the time.
func (r *instance) look(ctx context.Context, w *fsnotify.Watcher, folders map[string]bool, out chan<- string) {
	next := time.NewTimer(0) // a change since the start was not seen
	defer next.Stop()
	soon := true
	candidate := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.Events:
			if !soon {
				soon = true
				next.Reset(quiet)
			}
			continue
		case <-w.Errors: // an overflow: the regular look finds what it was
			continue
		case <-next.C:
		}
		r.watchFolders(w, folders) // one may have come, or have been replaced
		soon = false
		wait := lookEvery
		switch sum := r.filesSum(); sum {
		case r.lastRead():
			candidate = ""
		case candidate:
			select {
			case out <- sum:
			case <-ctx.Done():
				return
			}
			candidate = ""
		default:
			candidate, soon, wait = sum, true, quiet
		}
		next.Reset(wait)
	}
}

// wasRead remembers what a configuration, good or bad, was made of. It returns false when a file has changed
// since it was read: what was read has no known sum, so that the next look finds a change.
func (r *instance) wasRead(c *config.Config, began time.Time) bool {
	r.watching.Lock()
	defer r.watching.Unlock()
	r.read = []string{r.options.config}
	if c != nil {
		r.read = append(r.read, c.Files...)
	}
	r.attempted = sumOf(r.files())
	for _, f := range r.files() {
		info, err := os.Stat(f)
		if err == nil && info.ModTime().After(began.Add(-clockTick)) && info.ModTime().Before(time.Now()) {
			r.attempted = ""
			return false
		}
	}
	return true
}

// clockTick is how coarse the times of files are.
const clockTick = 5 * time.Millisecond

// lastRead is the sum of the files when they were read last.
func (r *instance) lastRead() string {
	r.watching.Lock()
	defer r.watching.Unlock()
	return r.attempted
}

// filesSum is the sum of the files now.
func (r *instance) filesSum() string {
	r.watching.Lock()
	files := r.files()
	r.watching.Unlock()
	return sumOf(files)
}

// files are all that is read; the caller holds watching.
func (r *instance) files() []string {
	files := slices.Clone(r.read)
	if r.options.certFile != "" {
		files = append(files, r.options.certFile, r.options.keyFile)
	}
	return files
}

// watchFolders watches the folders of all files, and those that links lead to.
func (r *instance) watchFolders(w *fsnotify.Watcher, known map[string]bool) {
	if w.Events == nil {
		return
	}
	r.watching.Lock()
	files := r.files()
	r.watching.Unlock()
	for _, f := range files {
		folders := []string{filepath.Dir(f)}
		if real, err := filepath.EvalSymlinks(f); err == nil {
			folders = append(folders, filepath.Dir(real))
		}
		for _, folder := range folders {
			if err := w.Add(folder); err != nil && !known[folder] {
				r.log.Warn("the system does not tell of changes in a folder: its files are looked at every 10 seconds", "folder", folder, "error", err)
			}
			known[folder] = true
		}
	}
}

// sumOf changes when the content of any file does.
func sumOf(files []string) string {
	h := sha256.New()
	for _, f := range files {
		b, err := os.ReadFile(f)
		fmt.Fprintf(h, "%s %d %v ", f, len(b), err != nil)
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// reload reads everything anew. Whatever is wrong with it changes nothing and is said in full.
func (r *instance) reload(ctx context.Context, why string) {
	began := time.Now()
	c, err := r.loadConfig()
	if err := r.reloadCertificate(ctx); err != nil {
		r.log.Error("the certificate was not reloaded; the one before stays in use", "error", err)
	}
	if err == nil {
		err = r.sameSurroundings(c.General.MasterKey.Reveal() == "")
	}
	var a *assembly
	if err == nil {
		a, err = r.compose(c)
	}
	if err == nil {
		r.warn(c, a)
		err = r.gateway.apply(ctx, a)
	}
	if err == nil {
		r.base.Store(c)
	}
	if err != nil {
		r.gateway.metrics.ReloadFailed()
		r.log.Error("the configuration was not reloaded; the one before stays in use", "reason", why, "error", oneLine(err))
		return
	}
	r.useBudgets(c)
	r.gateway.metrics.Reloaded(r.filesSum()[:12], time.Now())
	r.log.Info("the configuration was reloaded", "reason", why, "deployments", len(a.deployments), "took", time.Since(began).Round(time.Millisecond))
}

// oneLine puts several faults into one line, for a log.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// sameSurroundings refuses to take the key away from an endpoint that others can reach.
func (r *instance) sameSurroundings(open bool) error {
	if open && !loopback(r.around.listener.Address) {
		return fmt.Errorf("%s has no master key any more, and the endpoint listens on %s: start anew to open it on loopback", r.options.config, r.around.listener.Address)
	}
	return nil
}

func (r *instance) reloadCertificate(ctx context.Context) error {
	if r.options.certFile == "" {
		return nil
	}
	cert, err := readCertificate(r.options.certFile, r.options.keyFile)
	if err != nil {
		return err
	}
	return r.gateway.useCertificate(ctx, cert)
}

// readCertificate reads a pair and makes sure that it is one.
func readCertificate(certFile, keyFile string) (*xds.Certificate, error) {
	chain, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("--ssl_certfile_path: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("--ssl_keyfile_path: %w", err)
	}
	if _, err := tls.X509KeyPair(chain, key); err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	return &xds.Certificate{Chain: chain, Key: key}, nil
}
