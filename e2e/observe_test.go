package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// TestResponseHeaders are the contract's, as far as their values exist, on answers, streams and errors.
func TestResponseHeaders(t *testing.T) {
	m := model(t)
	limited := model(t, provider.Error(429, "rate_limit_error", "", "slow down").With("retry-after", "7").
		With("x-ratelimit-remaining-tokens", "0").With("set-cookie", "provider=1").With("x-litellm-model-id", "forged").
		With("x-envoy-upstream-service-time", "3"))
	always := []string{"x-litellm-call-id", "x-litellm-version", "x-litellm-model-id", "x-litellm-model-group",
		"x-litellm-model-api-base", "x-litellm-response-duration-ms", "x-litellm-overhead-duration-ms",
		"x-litellm-attempted-retries", "x-litellm-attempted-fallbacks", "x-litellm-max-retries"}
	for name, a := range map[string]answer{
		m:                      chat(t, m),
		m + " streamed":        chat(t, m, `"stream":true`),
		limited:                chat(t, limited),
		limited + " in stream": chat(t, limited, `"stream":true`),
	} {
		want, _, _ := strings.Cut(name, " ")
		for _, h := range always {
			if a.header.Get(h) == "" {
				t.Errorf("%s: no %s", name, h)
			}
		}
		if a.header.Get("x-litellm-model-id") != want || a.header.Get("x-litellm-model-group") != want ||
			a.header.Get("x-litellm-attempted-retries") != "0" {
			t.Errorf("%s: %v", name, a.header)
		}
		for h := range a.header {
			if strings.HasPrefix(strings.ToLower(h), "x-envoy") || strings.HasPrefix(strings.ToLower(h), "x-sluice") ||
				h == "X-Request-Id" || h == "Set-Cookie" {
				t.Errorf("%s: %s gets out", name, h)
			}
		}
		for _, h := range []string{"x-litellm-response-duration-ms", "x-litellm-overhead-duration-ms"} {
			if v, err := strconv.ParseFloat(a.header.Get(h), 64); err != nil || v < 0 {
				t.Errorf("%s: %s is %q", name, h, a.header.Get(h))
			}
		}
		if want != limited {
			continue
		}
		wantError(t, a, http.StatusTooManyRequests, "slow down")
		if a.header.Get("retry-after") != "7" || a.header.Get("llm_provider-x-ratelimit-remaining-tokens") != "0" {
			t.Errorf("%s: %v", name, a.header)
		}
	}
	a := post(t, completions, question(m), "x-litellm-call-id", "my-own-id")
	if got := a.header.Get("x-litellm-call-id"); got != "my-own-id" {
		t.Errorf("the client's call id became %q", got)
	}
	a = post(t, completions, "nonsense")
	if a.header.Get("x-litellm-call-id") == "" || a.header.Get("x-litellm-version") == "" || a.header.Get("x-should-retry") != "false" {
		t.Errorf("headers of a refusal: %v", a.header)
	}
}

// TestFallback moves to the other group, and says so.
func TestFallback(t *testing.T) {
	shared(t)
	down := provider.Error(500, "server_error", "", "down")
	script("measured-one", []provider.Reply{down})
	script("measured-two", []provider.Reply{down})
	before := metrics(t)
	a := chat(t, "measured")
	wantChat(t, a)
	if a.header.Get("x-litellm-model-id") != "spare" || a.header.Get("x-litellm-attempted-fallbacks") != "1" {
		t.Errorf("%v", a.header)
	}
	awaitMetrics(t, before, map[string]float64{
		`litellm_deployment_success_responses_total{model_id="spare"}`:                            1,
		`litellm_deployment_failure_responses_total{exception_status="500",model_id="measured-"}`: 1,
		`litellm_deployment_successful_fallbacks_total{requested_model="measured"}`:               1,
		`litellm_requests_total{model="measured",status_code="200"}`:                              1,
	})
}

// TestMetrics: after known traffic, the numbers are known.
func TestMetrics(t *testing.T) {
	shared(t)
	good, flaky, bad := model(t, provider.Chat("up", "hi", few)), model(t, provider.Error(503, "", "", "busy"), provider.Chat("up", "hi", few)),
		model(t, provider.Error(500, "", "", "down"))
	streamed := claude(t, provider.MessageStream("up", few, "hello"))
	before := metrics(t)
	for range 3 {
		wantChat(t, chat(t, good))
	}
	wantChat(t, chat(t, flaky, `"num_retries":1`))
	wantError(t, chat(t, bad), 500)
	wantStream(t, chat(t, streamed, `"stream":true`))
	post(t, completions, question("m0"), "authorization", "Bearer "+wrongKey)
	of := func(metric, m string, more ...string) string {
		labels := append([]string{fmt.Sprintf("model_id=%q", m)}, more...)
		return metric + "{" + strings.Join(labels, ",") + "}"
	}
	awaitMetrics(t, before, map[string]float64{
		of("litellm_requests_total", good, `status_code="200"`):                                 3,
		of("litellm_proxy_total_requests_metric_total", good):                                   3,
		of("litellm_input_tokens_total", good):                                                  9,
		of("litellm_output_tokens_total", good):                                                 12,
		of("litellm_tokens_total", good):                                                        21,
		of("litellm_total_tokens_metric_total", good):                                           21,
		of("litellm_request_duration_seconds_count", good):                                      3,
		of("litellm_llm_api_latency_metric_count", good):                                        3,
		of("litellm_overhead_latency_metric_count", good):                                       3,
		of("litellm_deployment_success_responses_total", good):                                  3,
		of("litellm_deployment_total_requests_total", good):                                     3,
		of("litellm_deployment_failure_responses_total", good):                                  0,
		of("litellm_requests_total", flaky, `status_code="200"`):                                1,
		of("litellm_deployment_success_responses_total", flaky):                                 1,
		of("litellm_deployment_failure_responses_total", flaky, `exception_status="503"`):       1,
		of("litellm_deployment_total_requests_total", flaky):                                    2,
		of("litellm_requests_failed_total", bad, `exception_status="500"`):                      1,
		of("litellm_proxy_failed_requests_metric_total", bad):                                   1,
		of("litellm_deployment_failure_responses_total", bad):                                   1,
		of("litellm_input_tokens_total", streamed):                                              3,
		of("litellm_output_tokens_total", streamed):                                             4,
		of("litellm_llm_api_time_to_first_token_metric_count", streamed):                        1,
		`litellm_requests_total{status_code="401"}`:                                             1,
		`litellm_proxy_failed_requests_metric_total{exception_status="401",requested_model=""}`: 1,
	})
}

// TestInFlightReturns to zero when nothing is under way.
func TestInFlightReturns(t *testing.T) {
	leave(t, model(t, provider.NoAnswer(provider.Hang)), false, false)
	deadline := time.Now().Add(patience)
	for metrics(t).sum("litellm_in_flight_requests") != 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%v calls are under way", metrics(t).sum("litellm_in_flight_requests"))
		}
	}
}

// TestHealth with and without a key.
func TestHealth(t *testing.T) {
	good, bad := model(t), model(t, provider.Error(500, "", "", "down"))
	type report struct {
		Healthy        []map[string]any `json:"healthy_endpoints"`
		Unhealthy      []map[string]any `json:"unhealthy_endpoints"`
		HealthyCount   int              `json:"healthy_count"`
		UnhealthyCount int              `json:"unhealthy_count"`
	}
	ask := func(path, key string) (report, answer) {
		var r report
		var headers []string
		if key != "" {
			headers = []string{"authorization", "Bearer " + key}
		}
		a := get(t, path, headers...)
		if a.status == http.StatusOK {
			if err := json.Unmarshal([]byte(a.body), &r); err != nil {
				t.Errorf("%v: %s", err, a.body)
			}
		}
		return r, a
	}
	if r, _ := ask("/health", ""); r.HealthyCount+r.UnhealthyCount < openaiModels || len(r.Healthy) > 0 || len(r.Unhealthy) > 0 {
		t.Errorf("without a key: %+v", r)
	}
	if n := len(received(good)); n != 0 {
		t.Errorf("a monitor without a key cost %d calls", n)
	}
	if r, _ := ask("/health?model="+good, masterKey); r.HealthyCount != 1 || r.UnhealthyCount != 0 || r.Healthy[0]["api_base"] == nil {
		t.Errorf("of a good model: %+v", r)
	}
	if _, a := ask("/health?model="+bad, masterKey); a.status != http.StatusServiceUnavailable {
		t.Errorf("of a bad model: %d %s", a.status, a.body)
	}
	_, a := ask("/health", wrongKey)
	wantError(t, a, http.StatusUnauthorized)
	for path, want := range map[string]string{
		"/health/liveliness": `"I'm alive!"`, "/health/liveness": `"I'm alive!"`,
		"/health/readiness": `{"status":"healthy","db":"Not connected"}`,
	} {
		if a := get(t, path); a.status != http.StatusOK || strings.TrimSpace(a.body) != want {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	wantError(t, get(t, "/v1/models"), http.StatusUnauthorized)
}

// samples are Prometheus' lines: name and labels, and the value.
type samples map[string]float64

func metrics(t testing.TB) samples {
	t.Helper()
	a := get(t, "/metrics")
	if a.status != http.StatusOK {
		t.Fatalf("/metrics: %d %s", a.status, a.body)
	}
	out := samples{}
	for line := range strings.Lines(a.body) {
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			t.Errorf("/metrics: %q", line)
		}
		out[line[:i]] = v
	}
	return out
}

// sum adds up the samples of a metric that have all of the labels: name{a="b",c="d"}. A value that ends in
// - stands for all that begin so.
func (s samples) sum(of string) float64 {
	name, labels, _ := strings.Cut(strings.TrimSuffix(of, "}"), "{")
	total := 0.0
	for key, v := range s {
		metric, has, _ := strings.Cut(key, "{")
		if metric != name {
			continue
		}
		all := true
		for label := range strings.SplitSeq(labels, ",") {
			if open, ok := strings.CutSuffix(label, `-"`); ok {
				label = open + "-"
			}
			all = all && strings.Contains("{"+has, label)
		}
		if all {
			total += v
		}
	}
	return total
}

// awaitMetrics waits until metrics have grown as they should: the log of failed attempts comes a little
// after the answers.
func awaitMetrics(t *testing.T, before samples, want map[string]float64) {
	t.Helper()
	deadline := time.Now().Add(patience / 6)
	for {
		now := metrics(t)
		var wrong []string
		for of, grown := range want {
			if got := now.sum(of) - before.sum(of); got != grown {
				wrong = append(wrong, fmt.Sprintf("%s grew by %v, want %v", of, got, grown))
			}
		}
		if len(wrong) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(strings.Join(wrong, "\n"))
		}
	}
}
