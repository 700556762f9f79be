package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/keys"
)

type status struct {
	Status string `json:"status"`
	DB     string `json:"db,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// liveness says that the process runs; while it drains, that it is not to be counted on, as LiteLLM does.
func (s *Server) liveness(w http.ResponseWriter, _ *http.Request) *apierror.Error {
	if state, _ := s.o.State(); state == Draining {
		return answer(w, http.StatusServiceUnavailable, status{Status: "shutting_down"})
	}
	return answer(w, http.StatusOK, "I'm alive!")
}

func (s *Server) readiness(w http.ResponseWriter, r *http.Request) *apierror.Error {
	switch state, waiting := s.o.State(); {
	case state == Draining:
		return answer(w, http.StatusServiceUnavailable, status{Status: "shutting_down"})
	case state == Starting:
		return answer(w, http.StatusServiceUnavailable, status{Status: "unhealthy", Reason: waiting})
	}
	db, fit := "Not connected", true // none is configured: nothing to wait for
	if s.o.Database != nil {
		db, fit = s.o.Database(r.Context())
	}
	if !fit {
		return answer(w, http.StatusServiceUnavailable, status{Status: "healthy", DB: db}) // LiteLLM's words
	}
	return answer(w, http.StatusOK, status{Status: "healthy", DB: db})
}

// endpoint is one deployment in the answer of GET /health.
type endpoint struct {
	Model    string `json:"model"`
	ModelID  string `json:"model_id"`
	Provider string `json:"custom_llm_provider,omitempty"`
	APIBase  string `json:"api_base,omitempty"`
	Error    string `json:"error,omitempty"`
	// What calls have shown: why the deployment gets none at this moment, and until when.
	Out   string     `json:"out_of_service,omitempty"`
	Until *time.Time `json:"out_until,omitempty"`
}

type healthReport struct {
	Healthy        []endpoint `json:"healthy_endpoints"`
	Unhealthy      []endpoint `json:"unhealthy_endpoints"`
	HealthyCount   int        `json:"healthy_count"`
	UnhealthyCount int        `json:"unhealthy_count"`
}

// health asks the models, for a caller with a key. Without one it only counts what calls have shown, so
// that a monitor without credentials costs nothing and learns no names.
func (s *Server) health(w http.ResponseWriter, r *http.Request) *apierror.Error {
	snap := s.o.Snapshot()
	if snap != nil && !snap.Keys.Open() && snap.Keys.Token(r.Header.Get) == "" {
		report := healthReport{Healthy: []endpoint{}, Unhealthy: []endpoint{}}
		for i := range snap.Deployments {
			if s.seenHealthy(&snap.Deployments[i]) {
				report.HealthyCount++
			} else {
				report.UnhealthyCount++
			}
		}
		return answer(w, http.StatusOK, report)
	}
	snap, key, err := s.authenticate(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	asked, targeted := snap.targets(key, query.Get("model"), query.Get("model_id"))
	report := s.report(asked, s.probe(r.Context(), asked), key.IsAdmin())
	code := http.StatusOK
	if targeted && report.HealthyCount == 0 { // so that a monitor of one model can go by the status
		code = http.StatusServiceUnavailable
	}
	return answer(w, code, report)
}

// targets are the deployments that a key may ask about, narrowed by LiteLLM's query parameters: a group's
// name, else a provider's model; or an id.
func (s *Snapshot) targets(key *keys.Key, name, id string) (asked []*Deployment, targeted bool) {
	byGroup := false
	for i := range s.Deployments {
		byGroup = byGroup || s.Deployments[i].Group == name
	}
	for i := range s.Deployments {
		d := &s.Deployments[i]
		switch {
		case !s.Keys.Allows(key, d.Group):
		case id != "" && d.ID != id:
		case id == "" && name != "" && byGroup && d.Group != name:
		case id == "" && name != "" && !byGroup && d.Model != name:
		default:
			asked = append(asked, d)
		}
	}
	return asked, name != "" || id != ""
}

func (s *Server) report(asked []*Deployment, faults []error, admin bool) healthReport {
	report := healthReport{Healthy: []endpoint{}, Unhealthy: []endpoint{}}
	for i, d := range asked {
		e := endpoint{Model: d.Model, ModelID: d.ID, Provider: d.Provider}
		if admin { // where a deployment is, is the operator's business
			e.APIBase = d.APIBase
		}
		if seen, ok := s.o.Seen(d.ID); ok && seen.Out != "" {
			if e.Out = seen.Out; !seen.Until.IsZero() {
				e.Until = &seen.Until
			}
		}
		if faults[i] == nil {
			report.Healthy = append(report.Healthy, e)
			continue
		}
		e.Error = shorten(faults[i].Error())
		report.Unhealthy = append(report.Unhealthy, e)
	}
	report.HealthyCount, report.UnhealthyCount = len(report.Healthy), len(report.Unhealthy)
	return report
}

// probe asks deployments at the same time, within the server's limits; fault i is of deployment i.
func (s *Server) probe(ctx context.Context, asked []*Deployment) []error {
	faults := make([]error, len(asked))
	var wg sync.WaitGroup
	for i, d := range asked {
		if d.Unusable != "" {
			faults[i] = errors.New(d.Unusable)
			continue
		}
		if s.o.Prober == nil {
			if !s.seenHealthy(d) {
				faults[i] = errors.New("its last call failed")
			}
			continue
		}
		select { // before the goroutine, so that there are never more of them than probes
		case s.probes <- struct{}{}:
		case <-ctx.Done():
			faults[i] = errors.New("not asked: the request ended before")
			continue
		}
		wg.Go(func() {
			defer func() { <-s.probes }()
			faults[i] = s.probeOne(ctx, d.ID)
		})
	}
	wg.Wait()
	return faults
}

func (s *Server) probeOne(ctx context.Context, id string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.ProbeTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			s.o.Log.Error("a health check failed by a fault in sluice", "deployment", id, "panic", v)
			err = errors.New("sluice failed to ask: its log says more")
		}
	}()
	err = s.o.Prober.Probe(ctx, id)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("no answer within " + s.o.ProbeTimeout.Round(time.Millisecond).String())
	}
	return err
}

// seenHealthy goes by what calls showed; a deployment that nobody has called yet is thought healthy.
func (s *Server) seenHealthy(d *Deployment) bool {
	if d.Unusable != "" {
		return false
	}
	seen, known := s.o.Seen(d.ID)
	return !known || seen.At.IsZero() || seen.Healthy
}

// shorten makes one line of an error: providers send whole pages.
func shorten(s string) string {
	const most = 300
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
