package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// row is one scenario's rounds: for each system, one figure a round.
type row struct {
	scenario scenario
	rounds   map[string][]figures
}

// warmUp is how long connections, caches and the heap have to find their size.
func (o options) warmUp() time.Duration { return min(time.Second, o.duration/2) }

// lasts is how long one measurement of a scenario takes. Slow streams need the time to start one after the
// other and some more, or few of them would ever run at once.
func (o options) lasts(sc scenario) time.Duration {
	if o.quick {
		return max(o.duration, sc.spread)
	}
	return max(o.duration, 2*sc.spread)
}

// compare sends one scenario's load to each system in turn, round after round.
func (r *rig) compare(o options, sc scenario) (row, error) {
	out := row{scenario: sc, rounds: map[string][]figures{}}
	pools := map[string]pool{}
	systems := slices.DeleteFunc(slices.Clone(o.systems), func(name string) bool { return !sc.takes(name) })
	for _, name := range systems {
		s := r.system(name)
		if err := verify(s, sc); err != nil {
			return out, fmt.Errorf("%s: %w", name, err)
		}
		p, err := open(s, sc.conns)
		if err != nil {
			return out, fmt.Errorf("%s: %w", name, err)
		}
		defer p.close()
		pools[name] = p
		if _, _, err := p.closed(s.request(sc), o.warmUp(), 0, 0); err != nil {
			return out, fmt.Errorf("%s: %w", name, err)
		}
	}
	for round := range o.rounds {
		for _, name := range systems {
			s := r.system(name)
			stop := r.profile(o, s, sc, round)
			f, err := pools[name].measure(s, s.request(sc), o.lasts(sc), sc.spread)
			if err := stop(); err != nil {
				return out, err
			}
			if err != nil {
				return out, fmt.Errorf("%s: %w", name, err)
			}
			out.rounds[name] = append(out.rounds[name], f)
			fmt.Printf("%-12s round %d  %-10s %7d requests %8.0f/s  CPU per request: Envoy %6.0f µs, sluice %6.0f µs\n",
				sc.name, round+1, name, f.requests, f.rate(), f.envoyMicros(), f.sluiceMicros())
		}
	}
	return out, nil
}

// profile takes a CPU profile of sluice in a scenario's first round, if one was asked for.
func (r *rig) profile(o options, s *system, sc scenario, round int) (stop func() error) {
	if r.pprof == "" || s.sluice == 0 || s.name == liteLLM || round > 0 {
		return func() error { return nil }
	}
	path := filepath.Join(o.profile, sc.name+"-"+s.name+".pprof")
	done := make(chan error, 1)
	go func() { done <- takeProfile(r.pprof, o.lasts(sc), path) }()
	return func() error {
		if err := <-done; err != nil {
			return fmt.Errorf("profile of sluice: %w", err)
		}
		return nil
	}
}

// of is the median over the rounds of one figure.
func (w row) of(system string, figure func(figures) float64) float64 {
	var all []float64
	for _, f := range w.rounds[system] {
		all = append(all, figure(f))
	}
	return median(all)
}

// ratio is the median over the rounds of a figure against the plain proxy's in the same round; 0: there
// is no plain proxy to compare with.
func (w row) ratio(system string, figure func(figures) float64) float64 {
	return w.against(system, plainProxy, figure)
}

// against is the same against any other system's.
func (w row) against(system, other string, figure func(figures) float64) float64 {
	others := w.rounds[other]
	var all []float64
	for i, f := range w.rounds[system] {
		if i < len(others) && figure(others[i]) > 0 {
			all = append(all, figure(f)/figure(others[i]))
		}
	}
	return median(all)
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	mid := len(all) / 2
	if len(all)%2 == 1 {
		return all[mid]
	}
	return (all[mid-1] + all[mid]) / 2
}
