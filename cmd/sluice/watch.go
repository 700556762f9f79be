package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sluicegw/sluice/xds"
)

// quiet is how long files must rest after a change: editors and config maps change several at once.
const quiet = 200 * time.Millisecond

// watch tells when a file of the configuration or the certificate may have changed. Folders are watched,
// not files: a replaced file is another one.
func (r *instance) watch(ctx context.Context) <-chan struct{} {
	out := make(chan struct{}, 1)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		r.log.Warn("files cannot be watched: changes are read at SIGHUP only", "error", err)
		return out
	}
	r.watchFolders(w)
	go func() {
		defer w.Close()
		rest := time.NewTimer(time.Hour)
		defer rest.Stop()
		sum := r.filesSum()
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.Events:
				rest.Reset(quiet)
			case <-w.Errors: // an overflow: something changed
				rest.Reset(quiet)
			case <-rest.C:
				r.watchFolders(w) // another file may have been included since
				if now := r.filesSum(); now != sum {
					sum = now
					select {
					case out <- struct{}{}:
					default:
					}
				}
			}
		}
	}()
	return out
}

func (r *instance) files() []string {
	files := []string{r.options.config}
	if a := r.gateway.current.Load(); a != nil {
		files = append(files, a.config.Files...)
	}
	if r.options.certFile != "" {
		files = append(files, r.options.certFile, r.options.keyFile)
	}
	return files
}

func (r *instance) watchFolders(w *fsnotify.Watcher) {
	for _, f := range r.files() {
		if err := w.Add(filepath.Dir(f)); err != nil {
			r.log.Warn("a folder cannot be watched: changes in it are read at SIGHUP only", "folder", filepath.Dir(f), "error", err)
		}
	}
}

// filesSum changes when the content of any file does.
func (r *instance) filesSum() string {
	h := sha256.New()
	for _, f := range r.files() {
		b, err := os.ReadFile(f)
		fmt.Fprintf(h, "%s %d %v ", f, len(b), err != nil)
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// reload reads everything anew. Whatever is wrong with it changes nothing and is said in full.
func (r *instance) reload(ctx context.Context, why string) {
	if err := r.reloadCertificate(ctx); err != nil {
		r.log.Error("the certificate was not reloaded; the one before stays in use", "error", err)
	}
	began := time.Now()
	c, err := loadConfig(r.options, r.log)
	if err == nil {
		err = r.sameSurroundings(c.General.MasterKey.Reveal() == "")
	}
	var a *assembly
	if err == nil {
		a, err = assemble(c, r.around)
	}
	if err == nil {
		for _, warning := range a.warnings {
			r.log.Warn(warning)
		}
		err = r.gateway.apply(ctx, a)
	}
	if err != nil {
		r.gateway.metrics.ReloadFailed()
		r.log.Error("the configuration was not reloaded; the one before stays in use", "reason", why, "error", err)
		return
	}
	r.gateway.metrics.Reloaded(r.filesSum()[:12], time.Now())
	r.log.Info("the configuration was reloaded", "reason", why, "deployments", len(a.deployments), "took", time.Since(began).Round(time.Millisecond))
}

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
