package main

import (
	"runtime"
	"runtime/debug"

	"github.com/sluicegw/sluice/envoy"
)

const ballastSize = 48 << 20

// ballast is kept alive for the life of the process.
//
//lint:ignore U1000 it is there to be counted by the collector, not to be read
var ballast []byte

// tune shares the machine between Envoy and this process. What the environment says (GOMEMLIMIT,
// GOMAXPROCS) goes before all of it; figures are in docs/adr/0001-envoy-settings.md.
func tune(o *options, getenv func(string) string) {
	// A call leaves little behind, so on a small heap the collector would run all the time: it counts the
	// ballast as live and waits until as much again has come. The pages are never touched, so they take no
	// memory. A large heap it lets double, as ever; GOGC=400 would let that grow fivefold.
	ballast = make([]byte, ballastSize)
	// Envoy's own limit leaves a quarter of the memory.
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
