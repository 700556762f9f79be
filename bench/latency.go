package main

import (
	"fmt"
	"time"
)

// perSecond is the open loop's load: far below what the machine can do, so that only the way through the
// system is seen, no queue.
const perSecond = 100

const openConns = 32

// delay is one round of the open loop: quantiles in milliseconds.
type delay struct{ p50, p99 float64 }

// delays are an open loop's rounds, by system.
type delays map[string][]delay

// latencies runs the open loop against each system in turn. What is timed is the whole answer, or for
// [partFirstByte] the time to the first byte of its body.
func (r *rig) latencies(o options, sc scenario, part string) (delays, error) {
	out := delays{}
	for round := range o.rounds {
		for _, name := range o.systems {
			if name == liteLLM {
				continue // this rate is no small load for one worker: it would be its queue that is timed
			}
			s := r.system(name)
			p, err := open(s, openConns)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			request := s.request(sc)
			if round == 0 {
				_, _, err = p.openLoop(request, perSecond, o.warmUp())
			}
			var t, first times
			if err == nil {
				t, first, err = p.openLoop(request, perSecond, o.duration)
			}
			p.close()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if part == partFirstByte {
				t = first
			}
			d := delay{milliseconds(t.at(0.5)), milliseconds(t.at(0.99))}
			out[name] = append(out[name], d)
			fmt.Printf("%-12s round %d  %-10s p50 %.2f ms  p99 %.2f ms\n", part, round+1, name, d.p50, d.p99)
		}
	}
	return out, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// of is the median over the rounds.
func (d delays) of(system string, quantile func(delay) float64) float64 {
	var all []float64
	for _, x := range d[system] {
		all = append(all, quantile(x))
	}
	return median(all)
}

// added is the median over the rounds of what a system adds to the plain proxy's time.
func (d delays) added(system string, quantile func(delay) float64) float64 {
	var all []float64
	for i, x := range d[system] {
		if i < len(d[plainProxy]) {
			all = append(all, quantile(x)-quantile(d[plainProxy][i]))
		}
	}
	return median(all)
}

func p50(d delay) float64 { return d.p50 }
func p99(d delay) float64 { return d.p99 }
