package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestSoakMemory sends every kind of load at once for as long as SLUICE_SOAK says, clients that leave in
// the middle of a stream among them, and finds out whether memory or file descriptors grow.
func TestSoakMemory(t *testing.T) {
	total, err := time.ParseDuration(os.Getenv("SLUICE_SOAK"))
	if err != nil || total <= 0 {
		t.Skip("`make soak` runs it: SLUICE_SOAK is the time to take")
	}
	o := options{sluice: filepath.Join("..", "bin", "sluice"), envoy: filepath.Join("..", ".tools", "envoy")}
	if err := o.find(); err != nil {
		t.Skip(err)
	}
	r, err := start(o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.stop()
	s := r.system(toOpenAI)
	soak(t, r, total/5) // caches, pools and heap find their size
	envoy, sluice := grown(t, s, "after a fifth")
	soak(t, r, total-total/5)
	envoyEnd, sluiceEnd := grown(t, s, "at the end")
	for _, p := range []struct {
		who         string
		first, last use
	}{{"sluice", sluice, sluiceEnd}, {"its Envoy", envoy, envoyEnd}} {
		// Bodies of 100 KB come and go, so the heap's size at one moment is chance within some megabytes.
		if limit := p.first.memory*12/10 + 16<<20; p.last.memory > limit {
			t.Errorf("memory of %s: %s after a fifth of the time, %s at the end", p.who, mega(p.first.memory), mega(p.last.memory))
		}
		if p.last.files > p.first.files+16 {
			t.Errorf("%s has %d open files, %d after a fifth of the time", p.who, p.last.files, p.first.files)
		}
	}
}

// use is what a process holds.
type use struct {
	memory int64
	files  int
}

func grown(t *testing.T, s *system, when string) (envoy, sluice use) {
	t.Helper()
	for pid, u := range map[int]*use{s.envoy: &envoy, s.sluice: &sluice} {
		var err error
		if u.memory, _, err = memory(pid); err != nil {
			t.Fatal(err)
		}
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			t.Fatal(err)
		}
		u.files = len(files)
	}
	t.Logf("%s: Envoy %s and %d files, sluice %s and %d files", when, mega(envoy.memory), envoy.files, mega(sluice.memory), sluice.files)
	return envoy, sluice
}

// soak sends all loads to both of sluice's models for d.
func soak(t *testing.T, r *rig, d time.Duration) {
	t.Helper()
	var all sync.WaitGroup
	for _, name := range []string{toOpenAI, toAnthropic} {
		s := r.system(name)
		for scenario, conns := range map[string]int{"small": 4, "100k": 1, "fast-stream": 2, "slow-stream": 20} {
			sc := *scenarioNamed(scenario)
			p, err := open(s, conns)
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() {
				defer p.close()
				if _, _, err := p.closed(s.request(sc), d, sc.spread, 0); err != nil {
					t.Errorf("%s, %s: %v", name, sc.name, err)
				}
			})
		}
		all.Go(func() {
			request := s.request(*scenarioNamed("slow-stream"))
			for began := time.Now(); time.Since(began) < d; {
				if err := leave(s.address, request); err != nil {
					t.Errorf("%s, a client that leaves: %v", name, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// leave begins to read a stream and goes.
func leave(address string, request []byte) error {
	c, err := dial(address)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	if err := c.head(); err != nil {
		return err
	}
	if c.status != 200 || c.length >= 0 {
		return errors.New("not a stream")
	}
	_, err = c.in.ReadByte()
	return err
}
