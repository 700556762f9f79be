package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

func TestHealthEvents(t *testing.T) {
	o := options()
	until := time.Date(2026, 1, 1, 12, 0, 5, 0, time.UTC)
	o.Standings = func() ([]Standing, []HealthEvent) {
		return []Standing{{ID: "d1", Model: "gpt", State: "out", Until: &until, Why: "cooling down after 500 internal", Streak: 1}},
			[]HealthEvent{{At: until.Add(-5 * time.Second), Kind: "out", Deployment: "d1", Model: "gpt", Until: &until, Why: "500 internal", Status: 500, Streak: 1}}
	}
	o.Explain = func(model string) ([]byte, error) {
		if model == "nobody" {
			return nil, apierror.New(apierror.NotFound, 404, "did you mean somebody?")
		}
		return []byte("the plan of " + model + "\n"), nil
	}
	s := New(o)
	for _, tt := range []struct {
		path, token string
		status      int
		text        string
	}{
		{"/health/events", master, 200, `{"deployments":[{"id":"d1","model":"gpt","state":"out","until":"2026-01-01T12:00:05Z","why":"cooling down after 500 internal","streak":1,"in_flight":0}],` +
			`"events":[{"at":"2026-01-01T12:00:00Z","kind":"out","deployment":"d1","model":"gpt","until":"2026-01-01T12:00:05Z","why":"500 internal","status":500,"streak":1}]}`},
		{"/health/events", "sk-only-gpt", 401, "Only proxy admins can use /health/events"},
		{"/health/events", "", 401, "auth_error"},
		{"/health/explain?model=a%2Fb", master, 200, "the plan of a/b"},
		{"/health/explain", master, 400, "say which model"},
		{"/health/explain?model=nobody", master, 404, "did you mean somebody?"},
		{"/health/explain?model=gpt", "sk-only-gpt", 401, "auth_error"},
	} {
		r := httptest.NewRequest(http.MethodGet, tt.path, nil)
		if tt.token != "" {
			r.Header.Set("authorization", "Bearer "+tt.token)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.text) {
			t.Errorf("%s of %q: %d %s", tt.path, tt.token, w.Code, w.Body)
		}
	}
}
