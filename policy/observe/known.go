package observe

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// known is what was published: the only source of label values besides keys.
type known struct {
	models      map[string]bool
	deployments map[string]*deployment
}

// deployment is a published one with the series that are its alone.
type deployment struct {
	Deployment
	retired bool // not in the latest publication
	out     bool // as it was published, which Deployment.Out does not tell: it is no label. Under Metrics.mu.
	state   atomic.Int32
	gauge   prometheus.Gauge
}

// nobody labels what no deployment had a part in, or one that is not known.
var nobody = &deployment{}

// Publish replaces what is known: the model names that clients may ask for (groups and aliases), and the
// deployments. A deployment that is missing keeps its series until the next Publish, for the calls that
// are still under way, then they are deleted.
func (m *Metrics) Publish(models []string, deployments []Deployment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.known.Load()
	next := &known{models: make(map[string]bool, len(models)), deployments: make(map[string]*deployment, len(deployments))}
	for _, name := range models {
		next.models[name] = true
	}
	for _, d := range deployments {
		out := d.Out
		d.Out = false
		if was := old.deployments[d.ID]; was != nil && was.Deployment == d {
			if !was.retired {
				next.deployments[d.ID] = was
				was.outOfService(out)
				continue
			}
		} else if was != nil {
			m.forget(was) // the same id with other labels: both at once would count twice
		}
		next.deployments[d.ID] = m.newDeployment(d)
		next.deployments[d.ID].outOfService(out)
	}
	for id, was := range old.deployments {
		if next.deployments[id] != nil {
			continue
		}
		if was.retired {
			m.forget(was)
			continue
		}
		kept := &deployment{Deployment: was.Deployment, retired: true, gauge: was.gauge}
		kept.state.Store(was.state.Load())
		next.deployments[id] = kept
	}
	m.known.Store(next)
	m.forgetModels(old, next)
}

func (m *Metrics) newDeployment(d Deployment) *deployment {
	n := &deployment{Deployment: d}
	n.gauge = m.vecs.state.WithLabelValues(d.Model, d.ID, d.APIBase, d.Provider)
	n.gauge.Set(float64(Healthy))
	return n
}

func (m *Metrics) forget(d *deployment) {
	for _, v := range m.vecs.all {
		v.DeletePartialMatch(prometheus.Labels{"model_id": d.ID})
	}
	m.dropWhere(func(id, _ string) bool { return id == d.ID })
}

// forgetModels deletes the series of model names that are no longer published.
func (m *Metrics) forgetModels(old, now *known) {
	for name := range old.models {
		if now.models[name] {
			continue
		}
		for _, v := range m.vecs.all {
			v.DeletePartialMatch(prometheus.Labels{"requested_model": name})
		}
		for _, v := range m.vecs.guide { // there "model" is what was asked for
			v.DeletePartialMatch(prometheus.Labels{"model": name})
		}
		m.dropWhere(func(_, model string) bool { return model == name })
	}
}

// dropWhere removes cached handles, with m.mu held.
func (m *Metrics) dropWhere(gone func(deploymentID, model string) bool) {
	m.series.Range(func(key, _ any) bool {
		if k := key.(seriesKey); gone(k.deployment, k.model) {
			m.series.Delete(key)
			m.count--
		}
		return true
	})
	m.tries.Range(func(key, _ any) bool {
		if k := key.(tryKey); gone(k.deployment, k.model) {
			m.tries.Delete(key)
			m.count--
		}
		return true
	})
}

// model bounds a name that a client wrote: itself if it was published, else its group (a wildcard's
// pattern), else "other".
func (k *known) model(requested, group string) string {
	switch {
	case requested == "" && group == "":
		return ""
	case k.models[requested]:
		return requested
	case k.models[group]:
		return group
	}
	return other
}

// group bounds a group's name: hidden groups are known by their deployments.
func (k *known) group(name string, d *deployment) string {
	if name == "" || name == d.Group || k.models[name] {
		return name
	}
	return other
}

func (k *known) deployment(id string) *deployment {
	if d := k.deployments[id]; d != nil {
		return d
	}
	return nobody
}

// DeploymentState sets a deployment's state, for the health tracker to call.
func (m *Metrics) DeploymentState(id string, s State) {
	if d := m.known.Load().deployments[id]; d != nil {
		d.set(s)
	}
}

// RetriesCapped counts a call that was planned with fewer attempts because its group's retry budget is spent.
func (m *Metrics) RetriesCapped(group string) {
	if !m.known.Load().models[group] {
		group = other
	}
	m.vecs.capped.WithLabelValues(group).Inc()
}

// CooledDown counts the start of a cooldown and sets the state; status is that of the failure, 0 for none.
func (m *Metrics) CooledDown(id string, status int) {
	if d := m.known.Load().deployments[id]; d != nil {
		m.vecs.cooled.WithLabelValues(d.Model, d.ID, d.APIBase, d.Provider, statusText(status)).Inc()
		d.set(Outage)
	}
}

func (d *deployment) set(s State) {
	d.state.Store(int32(s))
	d.gauge.Set(float64(s))
}

// outOfService sets the state of one that went out of service by the configuration, or came back by it.
func (d *deployment) outOfService(out bool) {
	switch {
	case out && !d.out:
		d.set(Outage)
	case !out && d.out:
		d.set(Healthy)
	}
	d.out = out
}

// attempted moves the state as LiteLLM does, except that a late failure does not end a cooldown.
func (d *deployment) attempted(ok bool) {
	now := State(d.state.Load())
	switch {
	case d.gauge == nil:
	case ok && now != Healthy:
		d.set(Healthy)
	case !ok && now == Healthy:
		d.set(Partial)
	}
}

// statusText is a status label: three digits, or "none". Anything else would be a provider's to choose.
func statusText(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return strconv.Itoa(status)
}
