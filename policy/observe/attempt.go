package observe

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

type tryKey struct {
	deployment, model, key, alias string
}

type trySeries struct {
	total    prometheus.Counter
	success  prometheus.Counter
	labels   []string
	failures sync.Map // failureKey → prometheus.Counter
}

// Attempt counts an attempt and moves its deployment's state: a success makes it healthy, a failure makes
// a healthy one partly out. Attempts at deployments that are not known are not counted.
func (m *Metrics) Attempt(r AttemptRecord) {
	k := m.known.Load()
	d := k.deployments[r.Deployment]
	if d == nil {
		return
	}
	s := m.trySeries(d, tryKey{
		deployment: d.ID, model: k.model(r.RequestedModel, d.Group), key: r.KeyHash, alias: r.KeyAlias,
	})
	s.total.Inc()
	d.attempted(r.Kind == "")
	if r.Kind == "" {
		s.success.Inc()
		return
	}
	s.failure(m.vecs, failureKey{r.Status, class(r.Kind)}).Inc()
}

func (m *Metrics) trySeries(d *deployment, key tryKey) *trySeries {
	if s, ok := m.tries.Load(key); ok {
		return s.(*trySeries)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key.key, key.alias = m.room(key.key, key.alias)
	if s, ok := m.tries.Load(key); ok {
		return s.(*trySeries)
	}
	labels := []string{d.Group, key.model, d.Model, d.ID, d.APIBase, d.Provider, key.key, key.alias}
	s := &trySeries{
		labels:  labels,
		total:   m.vecs.responses.WithLabelValues(labels...),
		success: m.vecs.success.WithLabelValues(labels...),
	}
	m.tries.Store(key, s)
	m.count++
	return s
}

func (s *trySeries) failure(v *vecs, k failureKey) prometheus.Counter {
	if c, ok := s.failures.Load(k); ok {
		return c.(prometheus.Counter)
	}
	text := statusText(k.status)
	c := v.failure.WithLabelValues(with(s.labels, text, k.class)...)
	if text != "none" {
		s.failures.Store(k, c)
	}
	return c
}
