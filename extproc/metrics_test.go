package extproc

import (
	"context"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/sluicegw/sluice/envoy/names"
)

// calls is how many calls the metrics have counted.
func calls(t testing.TB, s *Server) float64 {
	t.Helper()
	return sum(t, s, "litellm_requests_total")
}

func metricsPage(s *Server) string {
	w := httptest.NewRecorder()
	s.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// sum adds up all series of a metric.
func sum(t testing.TB, s *Server, metric string) float64 {
	t.Helper()
	total := 0.0
	for line := range strings.Lines(metricsPage(s)) {
		name, _, _ := strings.Cut(line, "{")
		if name != metric {
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

// TestLeavingAtDone: a client that leaves when it has all of a stream, before the provider closes its side,
// has been answered; one that leaves earlier has not. Only streams have a first token.
func TestLeavingAtDone(t *testing.T) {
	const event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n"
	for _, tt := range []struct {
		name, request, kind, answer, status string
		tokens                              float64
		end                                 bool
	}{
		{"after [DONE]", streamBody, "text/event-stream", event + "data: [DONE]\n\n", "200", 1, false},
		{"before", streamBody, "text/event-stream", event, "499", 1, false},
		{"after an error", streamBody, "text/event-stream", "data: {\"error\":{\"message\":\"down\"}}\n\n", "500", 1, false},
		{"whole", body, "application/json", answerOK, "200", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := connect(t)
			ctx, cancel := context.WithCancel(t.Context())
			stream := e.open(ctx, names.FilterRouter)
			for _, m := range []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(tt.request),
				answerHeaders("200", tt.kind, 1), answerBody(tt.answer, tt.end)} {
				e.ask(stream, m)
			}
			cancel()
			_, _ = stream.Recv()
			e.idle(1)
			page := metricsPage(e.server)
			if want := `status_code="` + tt.status + `"} 1`; !strings.Contains(page, want) {
				t.Errorf("no %s in\n%s", want, page)
			}
			if got := sum(t, e.server, "litellm_llm_api_time_to_first_token_metric_count"); got != tt.tokens {
				t.Errorf("%v first tokens, want %v", got, tt.tokens)
			}
		})
	}
}
