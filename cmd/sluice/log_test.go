package main

import (
	"strings"
	"testing"
	"time"
)

func TestDurationsAreReadableInJSON(t *testing.T) {
	var b strings.Builder
	newLogger(options{logJSON: true}, &b).Info("x", "took", 1500*time.Millisecond)
	if !strings.Contains(b.String(), `"took":"1.5s"`) {
		t.Error(b.String())
	}
}
