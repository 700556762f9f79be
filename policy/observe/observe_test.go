package observe

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

var two = []Deployment{
	{ID: "d1", Group: "gpt", Provider: "openai", Model: "gpt-4o", APIBase: "https://api.openai.com"},
	{ID: "d2", Group: "openai/*", Provider: "openai", Model: "*", APIBase: "https://api.openai.com"},
}

func newMetrics() *Metrics {
	m := New("v1")
	m.Publish([]string{"gpt", "openai/*", "alias"}, two)
	return m
}

// scrape is the text that Prometheus gets, without the process's own metrics.
func scrape(t testing.TB, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	b, _ := io.ReadAll(w.Body)
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, b)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "litellm_") || strings.HasPrefix(line, "sluice_") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func call() CallRecord {
	return CallRecord{
		Group: "gpt", RequestedModel: "alias", KeyHash: "h", KeyAlias: "team-a", Deployment: "d1", Status: 200,
		Stream: true, Duration: 2 * time.Second, Upstream: 1500 * time.Millisecond, FirstToken: 300 * time.Millisecond,
		Overhead: 2 * time.Millisecond, InputTokens: 10, OutputTokens: 5,
	}
}

func TestCall(t *testing.T) {
	m := newMetrics()
	m.Call(call())
	failed := call()
	failed.Status, failed.Kind, failed.Fallbacks, failed.OutputTokens = 429, apierror.RateLimit, 1, 0
	m.Call(failed)
	ok := call()
	ok.Fallbacks = 2
	m.Call(ok)
	text := scrape(t, m)
	guide := `api_key_alias="team-a",api_provider="openai",hashed_api_key="h",model="alias",model_group="gpt",model_id="d1"`
	latency := `api_key_alias="team-a",api_provider="openai",hashed_api_key="h",model="gpt-4o",model_group="gpt",model_id="d1",requested_model="alias"`
	for _, want := range []string{
		`litellm_requests_total{` + guide + `,status_code="200"} 2`,
		`litellm_requests_total{` + guide + `,status_code="429"} 1`,
		`litellm_requests_failed_total{api_key_alias="team-a",api_provider="openai",exception_class="RateLimitError",exception_status="429",hashed_api_key="h",model="alias",model_group="gpt",model_id="d1"} 1`,
		`litellm_request_duration_seconds_count{` + guide + `} 3`,
		`litellm_request_duration_seconds_bucket{` + guide + `,le="2"} 3`,
		`litellm_input_tokens_total{` + guide + `} 30`,
		`litellm_output_tokens_total{` + guide + `} 10`,
		`litellm_tokens_total{` + guide + `} 40`,
		`litellm_proxy_total_requests_metric_total{api_key_alias="team-a",api_provider="openai",hashed_api_key="h",model_id="d1",requested_model="alias",status_code="200"} 2`,
		`litellm_proxy_failed_requests_metric_total{api_key_alias="team-a",api_provider="openai",exception_class="RateLimitError",exception_status="429",hashed_api_key="h",model_id="d1",requested_model="alias"} 1`,
		`litellm_request_total_latency_metric_sum{` + latency + `} 6`,
		`litellm_llm_api_latency_metric_sum{` + latency + `} 4.5`,
		`litellm_llm_api_time_to_first_token_metric_count{` + latency + `} 3`,
		`litellm_overhead_latency_metric_count{api_base="https://api.openai.com",api_key_alias="team-a",api_provider="openai",hashed_api_key="h",litellm_model_name="gpt-4o",model_group="gpt",model_id="d1"} 3`,
		`litellm_total_tokens_metric_total{api_key_alias="team-a",api_provider="openai",hashed_api_key="h",model="gpt-4o",model_id="d1",requested_model="alias"} 40`,
		`litellm_deployment_successful_fallbacks_total{api_key_alias="team-a",fallback_model="gpt",hashed_api_key="h",model_id="d1",requested_model="alias"} 1`,
		`litellm_deployment_failed_fallbacks_total{api_key_alias="team-a",fallback_model="gpt",hashed_api_key="h",model_id="d1",requested_model="alias"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestStateOfWhatIsOut(t *testing.T) {
	m := newMetrics()
	d := Deployment{ID: "keyless", Group: "gpt", Provider: "openai", Model: "gpt-4o"}
	for i, step := range []struct {
		out  bool
		also func()
		want State
	}{
		{true, nil, Outage},
		{true, nil, Outage},
		{false, nil, Healthy},
		{false, func() { m.CooledDown("keyless", 500) }, Outage},
		{false, nil, Outage}, // publishing what it is does not end a cooldown
	} {
		if d.Out = step.out; step.also != nil {
			step.also()
		}
		m.Publish([]string{"gpt"}, []Deployment{d})
		if got := State(m.known.Load().deployments["keyless"].state.Load()); got != step.want {
			t.Errorf("step %d: state %v, want %v", i, got, step.want)
		}
	}
}

func TestAttemptAndState(t *testing.T) {
	m := newMetrics()
	state := func() State { return State(m.known.Load().deployments["d1"].state.Load()) }
	fail := AttemptRecord{Deployment: "d1", RequestedModel: "gpt", KeyHash: "h", Status: 503, Kind: apierror.Overloaded}
	good := AttemptRecord{Deployment: "d1", RequestedModel: "gpt", KeyHash: "h", Status: 200}
	for i, step := range []struct {
		do   func()
		want State
	}{
		{func() {}, Healthy},
		{func() { m.Attempt(fail) }, Partial},
		{func() { m.CooledDown("d1", 503) }, Outage},
		{func() { m.Attempt(fail) }, Outage},
		{func() { m.Attempt(good) }, Healthy},
		{func() { m.DeploymentState("d1", Outage) }, Outage},
		{func() { m.DeploymentState("d1", Healthy) }, Healthy},
		{func() { m.Attempt(AttemptRecord{Deployment: "nobody", Status: 500}) }, Healthy},
	} {
		if step.do(); state() != step.want {
			t.Errorf("step %d: state %v, want %v", i, state(), step.want)
		}
	}
	text := scrape(t, m)
	for _, want := range []string{
		`litellm_deployment_total_requests_total{api_base="https://api.openai.com",api_key_alias="",api_provider="openai",hashed_api_key="h",litellm_model_name="gpt-4o",model_group="gpt",model_id="d1",requested_model="gpt"} 3`,
		`exception_class="ServiceUnavailableError",exception_status="503",hashed_api_key="h",litellm_model_name="gpt-4o",model_group="gpt",model_id="d1",requested_model="gpt"} 2`,
		`litellm_deployment_cooled_down_total{api_base="https://api.openai.com",api_provider="openai",exception_status="503",litellm_model_name="gpt-4o",model_id="d1"} 1`,
		`litellm_deployment_state{api_base="https://api.openai.com",api_provider="openai",litellm_model_name="gpt-4o",model_id="d1"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing %s in\n%s", want, text)
		}
	}
}

func TestLabelsAreBounded(t *testing.T) {
	m := newMetrics()
	for i := range 1000 {
		r := call()
		r.RequestedModel, r.Group, r.Deployment = fmt.Sprintf("made-up-%d", i), fmt.Sprintf("group-%d", i), fmt.Sprintf("dep-%d", i)
		r.Status, r.Kind = 1000+i, apierror.Kind(fmt.Sprintf("kind-%d", i))
		m.Call(r)
		m.Attempt(AttemptRecord{Deployment: "d1", RequestedModel: fmt.Sprintf("made-up-%d", i), Status: i, Kind: r.Kind})
		w := call()
		w.RequestedModel, w.Group, w.Deployment = fmt.Sprintf("openai/x-%d", i), "openai/*", "d2"
		m.Call(w)
	}
	text := scrape(t, m)
	for _, never := range []string{"made-up", "group-", "dep-", "kind-", "x-1"} {
		if strings.Contains(text, never) {
			t.Errorf("%q from the client is a label", never)
		}
	}
	if want := `litellm_requests_total{api_key_alias="team-a",api_provider="openai",hashed_api_key="h",model="openai/*",model_group="openai/*",model_id="d2",status_code="200"} 1000`; !strings.Contains(text, want) {
		t.Error("a wildcard's calls are not counted under its pattern")
	}
	if m.count > 3 {
		t.Errorf("%d label sets", m.count)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	m := newMetrics()
	m.limit = 10
	for i := range 100 {
		r := call()
		r.KeyHash, r.KeyAlias = fmt.Sprintf("hash-%d", i), fmt.Sprintf("alias-%d", i)
		m.Call(r)
		m.Attempt(AttemptRecord{Deployment: "d1", RequestedModel: "gpt", KeyHash: r.KeyHash, Status: 200})
	}
	if m.count > 12 {
		t.Errorf("%d label sets", m.count)
	}
	text := scrape(t, m)
	if !strings.Contains(text, `hashed_api_key="other",model="alias",model_group="gpt",model_id="d1",status_code="200"} 95`) {
		t.Errorf("the rest is not counted together:\n%s", text)
	}
	if !strings.Contains(text, "sluice_metrics_overflow_total 190\n") {
		t.Error("the overflow is not told")
	}
}

func TestPublishForgets(t *testing.T) {
	m := newMetrics()
	use := func() {
		m.Call(call())
		m.Attempt(AttemptRecord{Deployment: "d1", RequestedModel: "alias", Status: 200})
		m.CooledDown("d1", 429)
	}
	use()
	m.Publish([]string{"gpt", "openai/*", "alias"}, two[1:])
	use() // calls of the configuration before
	if text := scrape(t, m); !strings.Contains(text, `model_id="d1",status_code="200"} 2`) {
		t.Errorf("a call under way lost its deployment:\n%s", text)
	}
	m.Publish([]string{"gpt", "openai/*"}, two[1:])
	if text := scrape(t, m); strings.Contains(text, `"d1"`) || strings.Contains(text, `"alias"`) {
		t.Errorf("series outlived their deployment:\n%s", text)
	}
	if m.count != 0 {
		t.Errorf("%d cached", m.count)
	}
	use()
	if text := scrape(t, m); strings.Contains(text, `"d1"`) || !strings.Contains(text, `model="gpt",model_group="gpt",model_id=""`) {
		t.Errorf("late records:\n%s", text)
	}
	m.Publish([]string{"gpt"}, two) // back again
	use()
	if text := scrape(t, m); !strings.Contains(text, `model_id="d1",status_code="200"} 1`) {
		t.Errorf("came back:\n%s", text)
	}
}

func TestPublishKeepsAndChanges(t *testing.T) {
	m := newMetrics()
	m.CooledDown("d1", 429)
	m.Publish([]string{"gpt"}, two)
	if text := scrape(t, m); !strings.Contains(text, `litellm_model_name="gpt-4o",model_id="d1"} 2`) {
		t.Errorf("a reload changed the state:\n%s", text)
	}
	changed := two[0]
	changed.Model = "gpt-5"
	m.Publish([]string{"gpt"}, []Deployment{changed})
	if text := scrape(t, m); strings.Contains(text, "gpt-4o") || !strings.Contains(text, `litellm_model_name="gpt-5",model_id="d1"} 0`) {
		t.Errorf("changed:\n%s", text)
	}
}

func TestOwnMetrics(t *testing.T) {
	m := newMetrics()
	m.InFlight(3)
	m.InFlight(-1)
	m.Reloaded("aaa", time.Unix(1, 0))
	m.ReloadFailed()
	m.Reloaded("bbb", time.Unix(1700000000, 0))
	text := scrape(t, m)
	for _, want := range []string{
		"litellm_in_flight_requests 2", `sluice_config_reloads_total{result="success"} 2`,
		`sluice_config_reloads_total{result="failure"} 1`, `sluice_config_info{hash="bbb"} 1`,
		"sluice_config_last_reload_success_timestamp_seconds 1.7e+09", `sluice_build_info{go_version="go`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %s in\n%s", want, text)
		}
	}
	if strings.Contains(text, "aaa") {
		t.Error("two configurations at once")
	}
}

func TestConcurrently(t *testing.T) {
	m := newMetrics()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 300 {
				r := call()
				r.KeyHash = fmt.Sprint(i % 7)
				m.Call(r)
				m.Attempt(AttemptRecord{Deployment: "d1", Status: 500, Kind: apierror.Internal})
				if i%100 == w {
					m.Publish([]string{"gpt"}, two[w%2:])
				}
				if i == 150 {
					scrape(t, m)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkCall(b *testing.B) {
	m := newMetrics()
	r := call()
	b.ReportAllocs()
	for b.Loop() {
		m.Call(r)
	}
}

func BenchmarkAttempt(b *testing.B) {
	m := newMetrics()
	r := AttemptRecord{Deployment: "d1", RequestedModel: "gpt", KeyHash: "h", Status: 200}
	b.ReportAllocs()
	for b.Loop() {
		m.Attempt(r)
	}
}
