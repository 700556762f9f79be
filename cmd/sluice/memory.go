package main

import (
	"runtime/debug"

	"github.com/sluicegw/sluice/envoy"
)

// tuneMemory trades memory for processor time: a call leaves little behind, so the collector may wait until
// the heap has grown to five times what is live, within the quarter of the machine's memory that Envoy's
// limit leaves. GOGC and GOMEMLIMIT in the environment go before both.
func tuneMemory(getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(envoy.DefaultMaxHeap() / 3))
	}
}
