package main

import (
	"runtime"
	"runtime/debug"

	"github.com/sluicegw/sluice/envoy"
)

// tune shares the machine between Envoy and this process. What the environment says (GOGC, GOMEMLIMIT,
// GOMAXPROCS) goes before all of it; figures are in docs/adr/0001-envoy-settings.md.
func tune(o *options, getenv func(string) string) {
	// A call leaves little behind, so the collector may wait until the heap has grown to five times what is
	// live, within the quarter of the memory that Envoy's own limit leaves.
	if getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(envoy.DefaultMaxHeap() / 3))
	}
	// Cores that Envoy's workers do not have are this process's: more threads than that only wake each
	// other.
	if o.concurrency == 0 {
		o.concurrency = envoy.DefaultConcurrency()
	}
	if getenv("GOMAXPROCS") == "" && !o.external {
		runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)-o.concurrency))
	}
}
