package observe

import (
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// other stands for every label value that was not published.
const other = "other"

// latencyBuckets are LiteLLM's LATENCY_BUCKETS, in seconds; +Inf is implied.
var latencyBuckets = []float64{
	0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 420, 600,
}

// Metrics is a registry of its own. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	vecs     *vecs
	spends   *spends

	known  atomic.Pointer[known]
	mu     sync.Mutex // for Publish and for making series
	series sync.Map   // seriesKey → *callSeries
	tries  sync.Map   // tryKey → *trySeries
	count  int        // of both, bounded by maxSeries
	limit  int        // maxSeries, smaller in tests

	inFlight   prometheus.Gauge
	reloads    *prometheus.CounterVec
	lastReload prometheus.Gauge
	configInfo *prometheus.GaugeVec
	overflowed prometheus.Counter
}

// maxSeries bounds the label sets of calls and attempts together: some 10 KB each. Beyond it keys are
// counted together as "other".
const maxSeries = 5000

// New makes the metrics of a process; version is sluice's.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), limit: maxSeries}
	m.vecs = newVecs(m.registry)
	m.spends = newSpends(m.registry)
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "litellm_in_flight_requests", Help: "Number of requests that are under way."})
	m.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_config_reloads_total", Help: "Configurations loaded, by result: success or failure."}, []string{"result"})
	m.lastReload = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_config_last_reload_success_timestamp_seconds", Help: "Unix time at which the configuration in use was loaded."})
	m.configInfo = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sluice_config_info", Help: "1 for the hash of the configuration in use."}, []string{"hash"})
	m.overflowed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sluice_metrics_overflow_total", Help: "Records counted under the key \"other\" because there are too many series."})
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sluice_build_info", Help: "1 for the version that runs."}, []string{"version", "go_version"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	for _, result := range []string{"success", "failure"} { // so that a rate exists before the first failure
		m.reloads.WithLabelValues(result)
	}
	m.registry.MustRegister(m.inFlight, m.reloads, m.lastReload, m.configInfo, m.overflowed, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.known.Store(&known{})
	return m
}

// Watch adds a gauge that is asked for its value whenever metrics are read.
func (m *Metrics) Watch(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Handler serves the metrics in the format that the scraper asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// InFlight adds to the number of requests under way.
func (m *Metrics) InFlight(delta int) { m.inFlight.Add(float64(delta)) }

// Reloaded tells of a configuration that is in use from at on; hash names its content.
func (m *Metrics) Reloaded(hash string, at time.Time) {
	m.reloads.WithLabelValues("success").Inc()
	m.lastReload.Set(float64(at.UnixMilli()) / 1000)
	m.configInfo.Reset()
	m.configInfo.WithLabelValues(hash).Set(1)
}

// ReloadFailed tells of a configuration that was refused.
func (m *Metrics) ReloadFailed() { m.reloads.WithLabelValues("failure").Inc() }
