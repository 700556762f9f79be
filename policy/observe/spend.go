package observe

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// SpendRecord is what one attempt cost.
type SpendRecord struct {
	Group     string // as the client asked for it
	Team      string // team_id; empty: none
	Dollars   float64
	Estimated bool
}

// spends count money by team. Their series are as many as teams and models that spent any, within a limit.
type spends struct {
	vec *prometheus.CounterVec

	mu     sync.Mutex
	series map[spendKey]prometheus.Counter
	limit  int
}

type spendKey struct {
	team, model string
	estimated   bool
}

const maxSpendSeries = 5000

func newSpends(r *prometheus.Registry) *spends {
	s := &spends{
		vec: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_team_spend_total",
			Help: "US dollars that teams spent, attempts that failed among them; estimated: not as a provider reported."},
			[]string{"team", "model", "estimated"}),
		series: map[spendKey]prometheus.Counter{}, limit: maxSpendSeries,
	}
	r.MustRegister(s.vec)
	return s
}

// Spend counts what an attempt cost.
func (m *Metrics) Spend(r SpendRecord) {
	if r.Dollars <= 0 {
		return
	}
	key := spendKey{r.Team, m.known.Load().model(r.Group, r.Group), r.Estimated}
	s := m.spends
	s.mu.Lock()
	it := s.series[key]
	if it == nil && len(s.series) >= s.limit {
		m.overflowed.Inc()
		key.team = other
		it = s.series[key]
	}
	if it == nil {
		it = s.vec.WithLabelValues(key.team, key.model, strconv.FormatBool(key.estimated))
		s.series[key] = it
	}
	s.mu.Unlock()
	it.Add(r.Dollars)
}
