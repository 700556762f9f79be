// Command bench measures what sluice costs beside a plain Envoy proxy, on one machine and in one run.
//
//	go run ./bench                     # everything, some ten minutes, on Linux; writes bench/RESULTS.md
//	go run ./bench -quick              # under a minute
//	go run ./bench -only small,100k -systems plain,openai -duration 2s
//	go run ./bench -litellm DIR/bin/litellm    # LiteLLM as well, on the same loads
//
// It starts a provider that answers from ready-made bytes (in this process), sluice with its Envoy, and a
// plain Envoy with as many workers, and sends them the same load in turn, round after round: machines are
// noisy, so only ratios within a round count, and of those the median. It measures the programs as they
// are built and tunes nothing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

type options struct {
	sluice, envoy string
	only, systems []string
	duration      time.Duration // of one measurement
	rounds        int
	workers       int
	requests      int64 // of the memory part
	profile       string
	liteLLM       string
	out           string
	quick         bool
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// The parts that are no scenarios.
const (
	partLatency   = "latency"
	partFirstByte = "first-byte"
	partMemory    = "memory"
)

func parts() []string {
	var names []string
	for _, sc := range scenarios {
		names = append(names, sc.name)
	}
	return append(names, partLatency, partFirstByte, partMemory)
}

func parse(args []string) (options, error) {
	var o options
	var only, systems string
	all := []string{plainProxy, toOpenAI, toAnthropic}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.sluice, "sluice", "bin/sluice", "the sluice to measure")
	f.StringVar(&o.envoy, "envoy", ".tools/envoy", "the Envoy that both use")
	f.StringVar(&only, "only", "", "what to measure, of "+strings.Join(parts(), ",")+"; empty: all")
	f.StringVar(&systems, "systems", strings.Join(all, ","), "what to send load to; without plain there are no ratios")
	f.DurationVar(&o.duration, "duration", 4*time.Second, "length of one measurement")
	f.IntVar(&o.rounds, "rounds", 5, "measurements of each system, in turn; their median counts")
	f.IntVar(&o.workers, "workers", 0, "threads of each Envoy; 0: as sluice chooses")
	f.Int64Var(&o.requests, "requests", 100_000, "requests of the memory part")
	f.StringVar(&o.profile, "profile", "", "folder for CPU profiles of sluice, one a scenario and system")
	f.StringVar(&o.liteLLM, "litellm", "", "LiteLLM's program, to send the same load to; empty: none")
	f.StringVar(&o.out, "out", "", "file for the results; empty: bench/RESULTS.md if everything is measured, else none")
	f.BoolVar(&o.quick, "quick", false, "everything, shortly: for a first look, not for figures to quote")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	given := map[string]bool{}
	f.Visit(func(g *flag.Flag) { given[g.Name] = true })
	if o.quick {
		if !given["duration"] {
			o.duration = 600 * time.Millisecond
		}
		if !given["rounds"] {
			o.rounds = 2
		}
		if !given["requests"] {
			o.requests = 5_000
		}
	}
	if f.NArg() > 0 || o.duration <= 0 || o.rounds < 1 || o.workers < 0 || o.requests < 100 {
		return o, errors.New("-duration and -rounds must be positive, -requests at least 100, -workers not negative, and nothing may follow the flags")
	}
	var err error
	if o.only, err = choice("-only", only, parts()); err != nil {
		return o, err
	}
	if o.systems, err = choice("-systems", systems, all); err != nil {
		return o, err
	}
	if o.out == "" && !o.quick && only == "" && len(o.systems) == len(all) {
		o.out = filepath.Join("bench", "RESULTS.md")
	}
	if o.liteLLM != "" {
		if o.liteLLM, err = o.findLiteLLM(); err != nil {
			return o, err
		}
		o.systems = append(o.systems, liteLLM)
	}
	return o, o.find()
}

// choice reads a list of names; empty: all of them.
func choice(name, text string, from []string) ([]string, error) {
	if text == "" {
		return from, nil
	}
	var out []string
	for n := range strings.SplitSeq(text, ",") {
		if !slices.Contains(from, n) {
			return nil, fmt.Errorf("%s: %q is none of %s", name, n, strings.Join(from, ", "))
		}
		out = append(out, n)
	}
	return out, nil
}

// find makes sure that the programs are there, and their paths good from any directory.
func (o *options) find() error {
	for path, made := range map[*string]string{&o.sluice: "make build", &o.envoy: "make tools"} {
		if _, err := os.Stat(*path); err != nil {
			return fmt.Errorf("%w; `%s` makes it", err, made)
		}
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if o.profile == "" {
		return nil
	}
	return os.MkdirAll(o.profile, 0o755)
}

func run(o options) error {
	began := time.Now()
	r, err := start(o)
	if err != nil {
		return err
	}
	defer r.stop()
	fmt.Printf("sluice, and a plain Envoy, with %s worker thread(s) each; %d rounds of %v\n", r.workers, o.rounds, o.duration)
	res := &results{options: o, workers: r.workers, began: began}
	for _, sc := range scenarios {
		if !slices.Contains(o.only, sc.name) {
			continue
		}
		row, err := r.compare(o, sc)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
		res.rows = append(res.rows, row)
	}
	if err := r.rest(o, res); err != nil {
		return err
	}
	text := res.markdown()
	fmt.Print("\n", text)
	if o.out == "" {
		return nil
	}
	return os.WriteFile(o.out, []byte(text), 0o644)
}

// rest measures what is not a closed loop.
func (r *rig) rest(o options, res *results) error {
	var err error
	if slices.Contains(o.only, partLatency) {
		if res.latency, err = r.latencies(o, *scenarioNamed("small"), partLatency); err != nil {
			return fmt.Errorf("%s: %w", partLatency, err)
		}
	}
	if slices.Contains(o.only, partFirstByte) {
		if res.firstByte, err = r.latencies(o, *scenarioNamed("fast-stream"), partFirstByte); err != nil {
			return fmt.Errorf("%s: %w", partFirstByte, err)
		}
	}
	if res.peaks, err = r.peaks(); err != nil {
		return err
	}
	if slices.Contains(o.only, partMemory) {
		if res.memory, err = r.flatness(o); err != nil {
			return fmt.Errorf("%s: %w", partMemory, err)
		}
	}
	return nil
}
