package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestFolderIsSharedAloud(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	first := holdFolder(dir, log)
	if first == nil || out.Len() > 0 {
		t.Fatalf("the first is told: %s", out.String())
	}
	second := holdFolder(dir, log)
	_ = first.Close()
	third := holdFolder(dir, log) // beside the second
	if n := strings.Count(out.String(), "another sluice uses this data folder"); n != 2 {
		t.Errorf("told %d times: %s", n, out.String())
	}
	_ = second.Close()
	_ = third.Close()
	out.Reset()
	if last := holdFolder(dir, log); last == nil || out.Len() > 0 {
		t.Errorf("alone again, and told: %s", out.String())
	}
}
