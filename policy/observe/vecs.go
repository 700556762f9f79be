package observe

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// vecs are the metrics of calls and deployments. Labels that LiteLLM has and that have no value here
// (end_user, team, client_ip …) are left out: for Prometheus an absent label is an empty one.
type vecs struct {
	// The guide's names.
	requests, failed, input, output, tokens, spend *prometheus.CounterVec
	duration                                       *prometheus.HistogramVec
	// LiteLLM's, of calls.
	proxyTotal, proxyFailed, inputMetric, outputMetric, totalMetric, spendMetric *prometheus.CounterVec
	latency, apiLatency, firstToken, overhead                                    *prometheus.HistogramVec
	fallbackOK, fallbackFailed                                                   *prometheus.CounterVec
	// LiteLLM's, of deployments.
	state                               *prometheus.GaugeVec
	cooled, success, failure, responses *prometheus.CounterVec
	// sluice's own.
	capped *prometheus.CounterVec

	all, guide []vec
}

type vec interface {
	prometheus.Collector
	DeletePartialMatch(prometheus.Labels) int
}

var (
	guideLabels    = []string{"model", "model_group", "model_id", "api_provider", "hashed_api_key", "api_key_alias"}
	latencyLabels  = []string{"model_group", "model", "hashed_api_key", "api_key_alias", "requested_model", "model_id", "api_provider"}
	overheadLabels = []string{"model_group", "api_provider", "api_base", "litellm_model_name", "hashed_api_key", "api_key_alias", "model_id"}
	proxyLabels    = []string{"hashed_api_key", "api_key_alias", "requested_model", "model_id", "api_provider"}
	tokenLabels    = []string{"hashed_api_key", "api_key_alias", "model", "requested_model", "model_id", "api_provider"}
	fallbackLabels = []string{"requested_model", "fallback_model", "hashed_api_key", "api_key_alias", "model_id"}
	tryLabels      = []string{"model_group", "requested_model", "litellm_model_name", "model_id", "api_base", "api_provider", "hashed_api_key", "api_key_alias"}
	stateLabels    = []string{"litellm_model_name", "model_id", "api_base", "api_provider"}
	failureLabels  = []string{"exception_status", "exception_class"}
)

func newVecs(r *prometheus.Registry) *vecs {
	v := &vecs{}
	counter := func(name, help string, labels ...[]string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, join(labels))
		v.all = append(v.all, c)
		return c
	}
	histogram := func(name, help string, labels []string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: latencyBuckets}, labels)
		v.all = append(v.all, h)
		return h
	}
	status := []string{"status_code"}
	v.requests = counter("litellm_requests_total", "Calls, by the status the client got.", guideLabels, status)
	v.failed = counter("litellm_requests_failed_total", "Calls that failed.", guideLabels, failureLabels)
	v.duration = histogram("litellm_request_duration_seconds", "Duration of calls, from the request to the last byte.", guideLabels)
	v.input = counter("litellm_input_tokens_total", "Input tokens.", guideLabels)
	v.output = counter("litellm_output_tokens_total", "Output tokens.", guideLabels)
	v.tokens = counter("litellm_tokens_total", "Input and output tokens.", guideLabels)
	v.spend = counter("litellm_spend_total", "What calls cost, in US dollars.", guideLabels)
	v.guide = slices.Clone(v.all)

	v.proxyTotal = counter("litellm_proxy_total_requests_metric_total", "Calls, by the status the client got.", proxyLabels, status)
	v.proxyFailed = counter("litellm_proxy_failed_requests_metric_total", "Calls for which the client got no success.", proxyLabels, failureLabels)
	v.latency = histogram("litellm_request_total_latency_metric", "Seconds from the request to the last byte.", latencyLabels)
	v.apiLatency = histogram("litellm_llm_api_latency_metric", "Seconds spent waiting for providers.", latencyLabels)
	v.firstToken = histogram("litellm_llm_api_time_to_first_token_metric", "Seconds to the first token of a stream.", latencyLabels)
	v.overhead = histogram("litellm_overhead_latency_metric", "Seconds that the gateway itself added.", overheadLabels)
	v.inputMetric = counter("litellm_input_tokens_metric_total", "Input tokens.", tokenLabels)
	v.outputMetric = counter("litellm_output_tokens_metric_total", "Output tokens.", tokenLabels)
	v.totalMetric = counter("litellm_total_tokens_metric_total", "Input and output tokens.", tokenLabels)
	v.spendMetric = counter("litellm_spend_metric_total", "What calls cost, in US dollars.", tokenLabels)
	v.fallbackOK = counter("litellm_deployment_successful_fallbacks_total", "Calls that a fallback group answered.", fallbackLabels)
	v.fallbackFailed = counter("litellm_deployment_failed_fallbacks_total", "Calls that failed in a fallback group.", fallbackLabels)

	v.state = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "litellm_deployment_state",
		Help: "State of a deployment: 0 healthy, 1 partial outage, 2 complete outage (cooling down, or out of service for want of a key)."}, stateLabels)
	v.all = append(v.all, v.state)
	v.cooled = counter("litellm_deployment_cooled_down_total", "How often a deployment started to cool down.", stateLabels, []string{"exception_status"})
	v.success = counter("litellm_deployment_success_responses_total", "Attempts that succeeded.", tryLabels)
	v.failure = counter("litellm_deployment_failure_responses_total", "Attempts that failed.", tryLabels, failureLabels)
	v.responses = counter("litellm_deployment_total_requests_total", "Attempts.", tryLabels)
	v.capped = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_retries_capped_total",
		Help: "Calls whose further retries were left out because the model group's retry budget was spent."}, []string{"model_group"})
	r.MustRegister(v.capped)
	for _, c := range v.all {
		r.MustRegister(c)
	}
	return v
}

func join(parts [][]string) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
