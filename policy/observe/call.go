package observe

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// seriesKey is what tells the label sets of calls apart. Statuses are a level below.
type seriesKey struct {
	deployment, model, group string
	key, alias               string
}

// callSeries are resolved label sets, so that counting a call looks up one key instead of twelve.
type callSeries struct {
	duration, latency                                   prometheus.Observer
	input, output, tokens, spend                        prometheus.Counter
	inputMetric, outputMetric, totalMetric, spendMetric prometheus.Counter

	// Made when first used: most label sets never see a stream or a fallback.
	apiLatency, firstToken, overhead func() prometheus.Observer
	fallbackOK, fallbackFailed       func() prometheus.Counter

	guide, proxy []string // label values, for the statuses
	statuses     sync.Map // status int → [2]prometheus.Counter
	failures     sync.Map // failureKey → [2]prometheus.Counter
}

type failureKey struct {
	status int
	class  string
}

// Call counts a call.
func (m *Metrics) Call(r CallRecord) {
	k := m.known.Load()
	d := k.deployment(r.Deployment)
	s := m.callSeries(d, seriesKey{
		deployment: d.ID, model: k.model(r.RequestedModel, r.Group), group: k.group(r.Group, d),
		key: r.KeyHash, alias: r.KeyAlias,
	})
	s.duration.Observe(r.Duration.Seconds())
	s.latency.Observe(r.Duration.Seconds())
	observe(s.apiLatency, r.Upstream)
	observe(s.firstToken, r.FirstToken)
	observe(s.overhead, r.Overhead)
	if n := r.InputTokens; n > 0 {
		s.input.Add(float64(n))
		s.inputMetric.Add(float64(n))
	}
	if n := r.OutputTokens; n > 0 {
		s.output.Add(float64(n))
		s.outputMetric.Add(float64(n))
	}
	if n := max(r.InputTokens, 0) + max(r.OutputTokens, 0); n > 0 {
		s.tokens.Add(float64(n))
		s.totalMetric.Add(float64(n))
	}
	if r.Spend > 0 {
		s.spend.Add(r.Spend)
		s.spendMetric.Add(r.Spend)
	}
	for _, c := range s.status(m.vecs, r.Status) {
		c.Inc()
	}
	if r.Kind != "" {
		for _, c := range s.failure(m.vecs, failureKey{r.Status, class(r.Kind)}) {
			c.Inc()
		}
	}
	if r.Fallbacks > 0 {
		if r.Kind == "" {
			s.fallbackOK().Inc()
		} else {
			s.fallbackFailed().Inc()
		}
	}
}

// observe leaves out what did not happen.
func observe(h func() prometheus.Observer, d time.Duration) {
	if d > 0 {
		h().Observe(d.Seconds())
	}
}

func (m *Metrics) callSeries(d *deployment, key seriesKey) *callSeries {
	if s, ok := m.series.Load(key); ok {
		return s.(*callSeries)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key.key, key.alias = m.room(key.key, key.alias)
	if s, ok := m.series.Load(key); ok {
		return s.(*callSeries)
	}
	s := m.vecs.call(d, key)
	m.series.Store(key, s)
	m.count++
	return s
}

// room makes way for one more label set: when there is none, keys are counted together.
func (m *Metrics) room(key, alias string) (string, string) {
	if m.count < m.limit || key == "" {
		return key, alias
	}
	m.overflowed.Inc()
	return other, ""
}

func (v *vecs) call(d *deployment, k seriesKey) *callSeries {
	guide := []string{k.model, k.group, d.ID, d.Provider, k.key, k.alias}
	proxy := []string{k.key, k.alias, k.model, d.ID, d.Provider}
	latency := []string{k.group, d.Model, k.key, k.alias, k.model, d.ID, d.Provider}
	tokens := []string{k.key, k.alias, d.Model, k.model, d.ID, d.Provider}
	fallback := []string{k.model, k.group, k.key, k.alias, d.ID}
	return &callSeries{
		duration:       v.duration.WithLabelValues(guide...),
		latency:        v.latency.WithLabelValues(latency...),
		apiLatency:     histogram(v.apiLatency, latency),
		firstToken:     histogram(v.firstToken, latency),
		overhead:       histogram(v.overhead, []string{k.group, d.Provider, d.APIBase, d.Model, k.key, k.alias, d.ID}),
		input:          v.input.WithLabelValues(guide...),
		output:         v.output.WithLabelValues(guide...),
		tokens:         v.tokens.WithLabelValues(guide...),
		inputMetric:    v.inputMetric.WithLabelValues(tokens...),
		outputMetric:   v.outputMetric.WithLabelValues(tokens...),
		totalMetric:    v.totalMetric.WithLabelValues(tokens...),
		spend:          v.spend.WithLabelValues(guide...),
		spendMetric:    v.spendMetric.WithLabelValues(tokens...),
		fallbackOK:     counter(v.fallbackOK, fallback),
		fallbackFailed: counter(v.fallbackFailed, fallback),
		guide:          guide,
		proxy:          proxy,
	}
}

func histogram(v *prometheus.HistogramVec, labels []string) func() prometheus.Observer {
	return sync.OnceValue(func() prometheus.Observer { return v.WithLabelValues(labels...) })
}

func counter(v *prometheus.CounterVec, labels []string) func() prometheus.Counter {
	return sync.OnceValue(func() prometheus.Counter { return v.WithLabelValues(labels...) })
}

func (s *callSeries) status(v *vecs, status int) [2]prometheus.Counter {
	if c, ok := s.statuses.Load(status); ok {
		return c.([2]prometheus.Counter)
	}
	text := statusText(status)
	c := [2]prometheus.Counter{
		v.requests.WithLabelValues(with(s.guide, text)...),
		v.proxyTotal.WithLabelValues(with(s.proxy, text)...),
	}
	if text != "none" { // a status that cannot be is not worth remembering
		s.statuses.Store(status, c)
	}
	return c
}

func (s *callSeries) failure(v *vecs, k failureKey) [2]prometheus.Counter {
	if c, ok := s.failures.Load(k); ok {
		return c.([2]prometheus.Counter)
	}
	text := statusText(k.status)
	c := [2]prometheus.Counter{
		v.failed.WithLabelValues(with(s.guide, text, k.class)...),
		v.proxyFailed.WithLabelValues(with(s.proxy, text, k.class)...),
	}
	if text != "none" {
		s.failures.Store(k, c)
	}
	return c
}

// with is labels followed by more, in a slice of its own.
func with(labels []string, more ...string) []string {
	return append(append(make([]string, 0, len(labels)+len(more)), labels...), more...)
}
