package main

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 4}, 4}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(tt.of); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.of, got, tt.want)
		}
	}
}

// round is a figure of 1,000 requests in a second.
func round(envoyMicros, sluiceMicros int) figures {
	return figures{requests: 1000, elapsed: time.Second,
		envoy: time.Duration(envoyMicros) * time.Millisecond, sluice: time.Duration(sluiceMicros) * time.Millisecond}
}

// TestRatio: a noisy round counts once, and against the same round of the plain proxy.
func TestRatio(t *testing.T) {
	w := row{rounds: map[string][]figures{
		plainProxy: {round(50, 0), round(100, 0), round(50, 0)},
		toOpenAI:   {round(100, 100), round(200, 200), round(500, 0)},
	}}
	if got := w.ratio(toOpenAI, figures.micros); got != 4 {
		t.Errorf("ratio %v, want 4", got)
	}
	if got := w.of(toOpenAI, figures.envoyMicros); got != 200 {
		t.Errorf("median %v, want 200", got)
	}
	if got := w.ratio(toAnthropic, figures.micros); got != 0 {
		t.Errorf("ratio without figures: %v, want 0", got)
	}
}

func TestAims(t *testing.T) {
	r := results{
		options: options{systems: []string{plainProxy, toOpenAI}},
		rows: []row{
			{scenario: *scenarioNamed("small"), rounds: map[string][]figures{plainProxy: {round(50, 0)}, toOpenAI: {round(100, 100)}}},
			{scenario: *scenarioNamed("100k"), rounds: map[string][]figures{plainProxy: {round(50, 0)}, toOpenAI: {round(200, 100)}}},
		},
		latency: delays{plainProxy: {{0.5, 1}}, toOpenAI: {{1.3, 4}}},
		peaks:   []peak{{"sluice", 50e6}},
		memory:  []sample{{20, 100e6, 50e6}, {100, 105e6, 90e6}},
	}
	text := r.markdown()
	for _, want := range []string{
		"| small | openai | 100 | 100 | 200 | 4.00 | 1000 | 1.00 |",
		"| small, openai: at most 5 × the processor time of a plain proxy | 4.00 | met |",
		"| 100k, openai: at most 5 × the processor time of a plain proxy | 6.00 | **missed** |",
		"| added time, p50: at most 1 ms | 0.80 ms | met |",
		"| whole answer | openai | 1.30 | 4.00 | 0.80 | 3.00 |",
		"| memory of sluice flat over 100 requests: at most 1.1 × what it was after 20 | 1.80 | **missed** |",
		"| memory of its Envoy flat over 100 requests: at most 1.1 × what it was after 20 | 1.05 | met |",
		"| sluice | 50.0 MB |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestFlags(t *testing.T) {
	for _, tt := range []struct{ args, fault string }{
		{"-only small,slow", `-only: "slow" is none of small,`},
		{"-systems litellm", `-systems: "litellm" is none of plain,`},
		{"-duration 0s", "must be positive"},
		{"-rounds 0", "must be positive"},
		{"more", "nothing may follow"},
		{"-sluice /no/such/file", "`make build` makes it"},
	} {
		_, err := parse(append([]string{"-sluice", os.Args[0], "-envoy", os.Args[0]}, strings.Fields(tt.args)...))
		if err == nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: error %v, want one with %q", tt.args, err, tt.fault)
		}
	}
	o, err := parse([]string{"-sluice", os.Args[0], "-envoy", os.Args[0], "-quick", "-rounds", "7"})
	if err != nil || o.rounds != 7 || o.duration != 600*time.Millisecond || o.out != "" {
		t.Errorf("-quick -rounds 7: %+v, %v", o, err)
	}
	if o, err = parse([]string{"-sluice", os.Args[0], "-envoy", os.Args[0]}); err != nil || o.out != "bench/RESULTS.md" {
		t.Errorf("everything: results in %q, %v", o.out, err)
	}
	if _, err := parse([]string{"-h"}); err != flag.ErrHelp {
		t.Errorf("-h: %v", err)
	}
}

func TestProcess(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	pids, err := children(os.Getpid())
	if err != nil || len(pids) == 0 {
		t.Skipf("this kernel does not list children: %v, %v", pids, err)
	}
	if _, err := cpuTime(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
	now, most, err := memory(os.Getpid())
	if err != nil || now <= 0 || most < now/2 {
		t.Errorf("memory %d, peak %d, %v", now, most, err)
	}
	if got := argument(cmd.Process.Pid, "sleep"); got != "60" {
		t.Errorf("argument %q, want 60", got)
	}
	if _, err := cpuTime(1 << 30); err == nil {
		t.Error("no error for a process that is not there")
	}
}
