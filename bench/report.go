package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// results are everything that one run has found.
type results struct {
	options   options
	workers   string
	began     time.Time
	rows      []row
	latency   delays
	firstByte delays
	peaks     []peak
	memory    []sample
}

// markdown is the report.
func (r *results) markdown() string {
	var b strings.Builder
	r.head(&b)
	if len(r.rows) > 0 {
		r.table(&b)
		if r.options.has(liteLLM) {
			r.beside(&b)
		}
	}
	r.delayTable(&b)
	r.memoryTable(&b)
	if r.options.has(plainProxy) {
		r.aims(&b)
	}
	return b.String()
}

func (o options) has(system string) bool {
	for _, s := range o.systems {
		if s == system {
			return true
		}
	}
	return false
}

func (r *results) head(b *strings.Builder) {
	fmt.Fprintf(b, `# What sluice costs

Measured by `+"`make bench`"+` (here: `+"`%s`"+`) on %s, in %v. Other machines have other
figures; the ratios are what to compare, and they are taken within a round, the systems in turn.

| | |
|---|---|
| machine | %s, %d processors, %s |
| Envoy | %s, %s worker thread(s) in each system |
| sluice | %s |
| load | closed loop, %d rounds of %v, medians; provider and load generator on the same machine |

`, strings.Join(append([]string{"go run ./bench"}, os.Args[1:]...), " "), r.began.UTC().Format("2 January 2006"),
		time.Since(r.began).Round(time.Second), cpuModel(), runtime.NumCPU(), kernel(),
		envoyVersion(r.options.envoy), r.workers, output(r.options.sluice, "version"), r.options.rounds, r.options.duration)
	b.WriteString("`plain` is an Envoy that proxies to the provider and does nothing else. `openai` is sluice with a key\n" +
		"check and an alias for the model's name, to a provider that speaks OpenAI's format. `anthropic` is the\n" +
		"same to one that speaks Anthropic's: both request and answer are translated.\n\n")
}

func (r *results) table(b *strings.Builder) {
	b.WriteString("## Processor time per request\n\n" +
		"µs of all threads, Envoy and sluice apart; *ratio* is their sum against plain, *throughput* the requests\n" +
		"per second against plain's (for slow streams the provider sets the pace).\n\n" +
		"| load | system | Envoy µs | sluice µs | sum µs | ratio | requests/s | throughput |\n|---|---|---:|---:|---:|---:|---:|---:|\n")
	for _, w := range r.rows {
		for _, s := range r.options.systems {
			if !w.scenario.takes(s) {
				continue
			}
			fmt.Fprintf(b, "| %s | %s | %.0f | %.0f | %.0f | %s | %.0f | %s |\n", w.scenario.name, s,
				w.of(s, figures.envoyMicros), w.of(s, figures.sluiceMicros), w.of(s, figures.micros),
				times1(w.ratio(s, figures.micros)), w.of(s, figures.rate), times1(w.ratio(s, figures.rate)))
		}
	}
	b.WriteString("\n")
	for _, w := range r.rows {
		fmt.Fprintf(b, "- `%s`: %s, %d connections.\n", w.scenario.name, w.scenario.what, w.scenario.conns)
	}
	b.WriteString("\n")
}

func times1(ratio float64) string {
	if ratio == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", ratio)
}

func (r *results) delayTable(b *strings.Builder) {
	if r.latency == nil && r.firstByte == nil {
		return
	}
	fmt.Fprintf(b, "## Time\n\nOpen loop, %d requests per second; milliseconds. *Whole answer* is of the small body, *first byte* of the\nfast stream's body. *Added* is against plain in the same round.\n\n", perSecond)
	b.WriteString("| what | system | p50 | p99 | added p50 | added p99 |\n|---|---|---:|---:|---:|---:|\n")
	for _, part := range []struct {
		what string
		d    delays
	}{{"whole answer", r.latency}, {"first byte", r.firstByte}} {
		for _, s := range r.options.systems {
			if part.d[s] == nil {
				continue
			}
			fmt.Fprintf(b, "| %s | %s | %.2f | %.2f | %.2f | %.2f |\n", part.what, s, part.d.of(s, p50), part.d.of(s, p99),
				part.d.added(s, p50), part.d.added(s, p99))
		}
	}
	b.WriteString("\n")
}

func (r *results) memoryTable(b *strings.Builder) {
	b.WriteString("## Memory\n\nThe most that each process had during all of the above:\n\n| process | peak |\n|---|---:|\n")
	for _, p := range r.peaks {
		fmt.Fprintf(b, "| %s | %s |\n", p.what, mega(p.bytes))
	}
	b.WriteString("\n")
	if len(r.memory) == 0 {
		return
	}
	b.WriteString("A fresh sluice under small bodies, at some points of the way:\n\n| requests | Envoy | sluice |\n|---:|---:|---:|\n")
	for _, s := range r.memory {
		fmt.Fprintf(b, "| %d | %s | %s |\n", s.requests, mega(s.envoy), mega(s.sluice))
	}
	b.WriteString("\n")
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return "Linux " + strings.TrimSpace(string(text))
}

// envoyVersion is the version in "envoy  version: <commit>/<version>/<state>/<build>/<TLS>".
func envoyVersion(path string) string {
	text := output(path, "--version")
	if _, version, ok := strings.Cut(text, "version:"); ok {
		if parts := strings.Split(version, "/"); len(parts) >= 2 {
			return parts[1]
		}
	}
	return text
}

func output(path string, args ...string) string {
	text, err := exec.Command(path, args...).Output()
	if err != nil {
		return "unknown (" + err.Error() + ")"
	}
	return strings.TrimSpace(string(text))
}
