package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
)

const sharedFolder = "another sluice uses this data folder: until one of them ends, budgets and limits are counted by each alone; share PostgreSQL and Redis for one count"

// holdFolder warns if another process works in a data folder already. The lock on the file is let go when the file is
// closed, or the process ends in whatever way; the file stays, empty. Nil: the folder cannot be locked, and nothing is known.
func holdFolder(dir string, log *slog.Logger) *os.File {
	f, err := os.OpenFile(filepath.Join(dir, "in-use.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil // the database beside it will say more
	}
	// Alone at first, to see whether anybody else is there; then together with those that come later, so that
	// the next one sees those that are left.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		log.Warn(sharedFolder, "folder", dir)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil
	}
	return f
}
