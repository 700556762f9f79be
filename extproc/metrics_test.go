package extproc

import (
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// calls is how many calls the metrics have counted.
func calls(t testing.TB, s *Server) float64 {
	t.Helper()
	w := httptest.NewRecorder()
	s.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	total := 0.0
	for line := range strings.Lines(w.Body.String()) {
		name, _, _ := strings.Cut(line, "{")
		if name != "litellm_requests_total" {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
		if err != nil {
			t.Fatal(err)
		}
		total += v
	}
	return total
}
