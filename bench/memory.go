package main

import "fmt"

// peak is the most memory that a process has had, in bytes.
type peak struct {
	what  string
	bytes int64
}

// peaks are what the scenarios so far have taken.
func (r *rig) peaks() ([]peak, error) {
	plain, sluice := r.system(plainProxy), r.system(toOpenAI)
	var out []peak
	for _, p := range []struct {
		what string
		pid  int
	}{{"plain Envoy", plain.envoy}, {"sluice's Envoy", sluice.envoy}, {"sluice", sluice.sluice}} {
		_, most, err := memory(p.pid)
		if err != nil {
			return nil, err
		}
		out = append(out, peak{p.what, most})
	}
	return out, nil
}

// sample is the memory after a share of the requests.
type sample struct {
	requests      int64
	envoy, sluice int64
}

// flatness sends many small requests to a sluice that has just started and looks at its memory on the
// way: after a fifth of them caches, pools and heap have their size, and what grows then leaks.
func (r *rig) flatness(o options) ([]sample, error) {
	o.profile = ""
	o.systems = []string{toOpenAI}
	fresh, err := start(o)
	if err != nil {
		return nil, err
	}
	defer fresh.stop()
	s, sc := fresh.system(toOpenAI), *scenarioNamed("small")
	p, err := open(s, sc.conns)
	if err != nil {
		return nil, err
	}
	defer p.close()
	var out []sample
	var sent int64
	for _, percent := range []int64{0, 20, 60, 100} {
		until := o.requests * percent / 100
		if until > 0 { // without one it is the memory of a sluice that nobody has asked anything
			if _, _, err := p.closed(s.request(sc), 0, 0, until-sent); err != nil {
				return nil, err
			}
		}
		sent = until
		x := sample{requests: sent}
		if x.envoy, _, err = memory(s.envoy); err != nil {
			return nil, err
		}
		if x.sluice, _, err = memory(s.sluice); err != nil {
			return nil, err
		}
		fmt.Printf("%-12s after %d requests: Envoy %s, sluice %s\n", partMemory, x.requests, mega(x.envoy), mega(x.sluice))
		out = append(out, x)
	}
	return out, nil
}

func mega(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
