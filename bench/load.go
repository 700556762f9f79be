package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// figures are what one run of a load has cost.
type figures struct {
	requests      int
	elapsed       time.Duration
	envoy, sluice time.Duration // of processor time
}

func (f figures) perRequest(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(f.requests)
}

// envoyMicros, sluiceMicros and micros are processor time per request, in microseconds.
func (f figures) envoyMicros() float64  { return f.perRequest(f.envoy) }
func (f figures) sluiceMicros() float64 { return f.perRequest(f.sluice) }
func (f figures) micros() float64       { return f.perRequest(f.envoy + f.sluice) }

// rate is requests per second.
func (f figures) rate() float64 { return float64(f.requests) / f.elapsed.Seconds() }

// pool is the open connections to one system.
type pool []*client

func open(s *system, n int) (pool, error) {
	p := make(pool, 0, n)
	for range n {
		c, err := dial(s.address)
		if err != nil {
			p.close()
			return nil, err
		}
		p = append(p, c)
	}
	return p, nil
}

func (p pool) close() {
	for _, c := range p {
		c.close()
	}
}

// closed runs a closed loop for d, or until most requests were sent if most is not 0, and lets every
// request end: the processor time between two idle moments belongs to these requests alone.
func (p pool) closed(request []byte, d, spread time.Duration, most int64) (int, time.Duration, error) {
	began := time.Now()
	var sent, answered atomic.Int64
	var failure atomic.Pointer[error]
	var all sync.WaitGroup
	for i, c := range p {
		all.Go(func() {
			time.Sleep(spread * time.Duration(i) / time.Duration(len(p)))
			for failure.Load() == nil {
				if most > 0 && sent.Add(1) > most || most == 0 && time.Since(began) >= d {
					return
				}
				if err := c.do(request); err != nil {
					failure.CompareAndSwap(nil, &err)
					return
				}
				answered.Add(1)
			}
		})
	}
	all.Wait()
	if err := failure.Load(); err != nil {
		return 0, 0, fmt.Errorf("after %d good answers: %w", answered.Load(), *err)
	}
	return int(answered.Load()), time.Since(began), nil
}

// measure is a closed loop with the processor time it took.
func (p pool) measure(s *system, request []byte, d, spread time.Duration) (figures, error) {
	before, err := s.cpu()
	if err != nil {
		return figures{}, err
	}
	n, elapsed, err := p.closed(request, d, spread, 0)
	if err != nil {
		return figures{}, err
	}
	after, err := s.cpu()
	if err != nil {
		return figures{}, err
	}
	if n == 0 {
		return figures{}, fmt.Errorf("no request ended within %v", d)
	}
	return figures{requests: n, elapsed: elapsed, envoy: after.envoy - before.envoy, sluice: after.sluice - before.sluice}, nil
}

// cpu is the processor time of a system's processes up to now.
func (s *system) cpu() (f figures, err error) {
	if s.envoy != 0 {
		if f.envoy, err = cpuTime(s.envoy); err != nil {
			return f, err
		}
	}
	if s.sluice == 0 {
		return f, nil
	}
	f.sluice, err = cpuTime(s.sluice)
	return f, err
}

// times are how long answers took, sorted.
type times []time.Duration

// at is the quantile q of 0…1.
func (t times) at(q float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t[min(len(t)-1, int(q*float64(len(t))))]
}

// openLoop sends perSecond requests a second for d, whether or not earlier ones have been answered, and says
// how long each took to its end and to the first byte of its body. Waiting for a free connection counts.
func (p pool) openLoop(request []byte, perSecond int, d time.Duration) (whole, first times, err error) {
	n := max(1, int(d.Seconds()*float64(perSecond)))
	due := make(chan time.Time, n)
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, c := range p {
		all.Go(func() {
			for at := range due {
				fault := c.do(request)
				ended := time.Now()
				mu.Lock()
				if fault != nil {
					err = fault
				}
				whole, first = append(whole, ended.Sub(at)), append(first, c.first.Sub(at))
				mu.Unlock()
				if fault != nil {
					return
				}
			}
		})
	}
	began := time.Now()
	for i := range n {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
		due <- time.Now()
	}
	close(due)
	all.Wait()
	slices.Sort(whole)
	slices.Sort(first)
	return whole, first, err
}
