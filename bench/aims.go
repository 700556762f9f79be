package main

import (
	"fmt"
	"slices"
	"strings"
)

const (
	aimAddedP50 = 1.0 // ms
	// aimGrowth is how much more memory than after a fifth of the requests still counts as flat: the
	// garbage collector's timing moves that much.
	aimGrowth = 1.1
)

// aims says which of the project's own aims this run has met.
func (r *results) aims(b *strings.Builder) {
	b.WriteString("## Aims\n\n| aim | measured | |\n|---|---:|---|\n")
	for _, w := range r.rows {
		for _, s := range []string{toOpenAI, toAnthropic} {
			if w.scenario.aim == 0 || !r.options.has(s) {
				continue
			}
			got := w.ratio(s, figures.micros)
			fmt.Fprintf(b, "| %s, %s: at most %.0f × the processor time of a plain proxy | %.2f | %s |\n",
				w.scenario.name, s, w.scenario.aim, got, verdict(got <= w.scenario.aim))
		}
	}
	if r.latency != nil && r.options.has(toOpenAI) {
		got := r.latency.added(toOpenAI, p50)
		fmt.Fprintf(b, "| added time, p50: at most %.0f ms | %.2f ms | %s |\n", aimAddedP50, got, verdict(got <= aimAddedP50))
	}
	if used := slices.DeleteFunc(slices.Clone(r.memory), func(s sample) bool { return s.requests == 0 }); len(used) > 1 {
		first, last := used[0], used[len(used)-1]
		for _, p := range []struct {
			who         string
			first, last int64
		}{{"sluice", first.sluice, last.sluice}, {"its Envoy", first.envoy, last.envoy}} {
			got := float64(p.last) / float64(p.first)
			fmt.Fprintf(b, "| memory of %s flat over %d requests: at most %.1f × what it was after %d | %.2f | %s |\n",
				p.who, last.requests, aimGrowth, first.requests, got, verdict(got <= aimGrowth))
		}
	}
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}
