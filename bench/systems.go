package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sluicegw/sluice/internal/childproc"
)

// masterKey is the key of the benchmark's own gateway, which listens on loopback while it runs.
const masterKey = "sk-bench-0123456789abcdef"

// system is one way from the client to the provider.
type system struct {
	name    string
	address string
	model   string
	key     string
	limited string // a key with budgets and limits that no load reaches; empty: there is none
	envoy   int    // process ids; 0: there is none
	sluice  int
}

// The systems, by the names that -systems takes.
const (
	plainProxy    = "plain"
	toOpenAI      = "openai"
	toAnthropic   = "anthropic"
	startWithin   = 60 * time.Second
	stopWithin    = 10 * time.Second
	plainTemplate = `{
  "static_resources": {
    "listeners": [{
      "address": {"socket_address": {"address": "127.0.0.1", "port_value": %d}},
      "filter_chains": [{"filters": [{
        "name": "hcm",
        "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
          "stat_prefix": "plain",
          "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "provider", "timeout": "0s"}}]}]},
          "http_filters": [{"name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]
        }}]}]
    }],
    "clusters": [{
      "name": "provider",
      "type": "STATIC",
      "circuit_breakers": {"thresholds": [{"max_connections": 100000, "max_requests": 100000, "max_pending_requests": 100000}]},
      "load_assignment": {"cluster_name": "provider", "endpoints": [{"lb_endpoints": [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": %d}}}}]}]}
    }]
  }
}`
)

// rig is what runs during a benchmark.
type rig struct {
	dir      string
	upstream *upstream
	children []*childproc.Child
	systems  []system
	workers  string // of each Envoy
	pprof    string // the socket for profiles; empty: none were asked for
}

func (r *rig) system(name string) *system {
	for i := range r.systems {
		if r.systems[i].name == name {
			return &r.systems[i]
		}
	}
	return nil
}

// start starts the provider, sluice and, with as many workers as sluice's Envoy has, the plain proxy.
func start(o options) (*rig, error) {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return nil, err
	}
	r := &rig{dir: dir}
	if r.upstream, err = startUpstream(); err != nil {
		r.stop()
		return nil, err
	}
	if err := r.startSluice(o); err != nil {
		r.stop()
		return nil, fmt.Errorf("sluice: %w%s", err, r.lastWords("sluice"))
	}
	if o.has(liteLLM) {
		if err := r.startLiteLLM(o); err != nil {
			r.stop()
			return nil, fmt.Errorf("LiteLLM: %w%s", err, r.lastWords(liteLLM))
		}
	}
	if err := r.startPlain(o); err != nil {
		r.stop()
		return nil, fmt.Errorf("the plain proxy: %w%s", err, r.lastWords("plain"))
	}
	return r, nil
}

func (r *rig) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	for _, c := range r.children {
		c.Stop(ctx)
	}
	if r.upstream != nil {
		r.upstream.close()
	}
	_ = os.RemoveAll(r.dir)
}

func (r *rig) startSluice(o options) error {
	models := []any{
		deployment("bench-openai", "openai/gpt-4o-mini", "http://"+r.upstream.address()+"/v1"),
		deployment("bench-anthropic", "anthropic/claude-haiku-4-5", "http://"+r.upstream.address()),
		deployment("bench-watched", "openai/gpt-4o-mini", "http://"+r.upstream.address()+"/v1"),
		deployment("bench-pool", "openai/gpt-4o-mini", []string{"http://" + r.upstream.address() + "/v1", "http://" + r.upstream.second.Addr().String() + "/v1"}),
		held(deployment("bench-held", "openai/gpt-4o-mini", "http://"+r.upstream.address()+"/v1")),
	}
	for i := range 10 {
		models = append(models, limited(i, deployment("bench-routed", "openai/gpt-4o-mini", "http://"+r.upstream.address()+"/v1")))
	}
	config := map[string]any{
		"model_list": models,
		"router_settings": map[string]any{"routing_groups": []any{
			map[string]any{"group_name": "p2c", "models": []string{"bench-routed"}, "routing_strategy": "p2c"}}},
		"litellm_settings": map[string]any{
			"fallbacks":                []any{map[string]any{"bench-held": []string{"bench-openai"}}},
			"content_policy_fallbacks": []any{map[string]any{"bench-watched": []string{"bench-openai"}}},
		},
		"general_settings": map[string]any{"master_key": masterKey},
	}
	text, err := json.Marshal(config) // JSON is YAML
	if err != nil {
		return err
	}
	file := filepath.Join(r.dir, "config.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	cmd := exec.Command(o.sluice, "--config", file, "--host", "127.0.0.1", "--port", strconv.Itoa(port),
		"--envoy-path", o.envoy, "--data-dir", filepath.Join(r.dir, "data"), "--drain-timeout", "1s", "--concurrency", strconv.Itoa(o.workers))
	if o.profile != "" {
		r.pprof = filepath.Join(r.dir, "pprof.sock")
		cmd.Env = append(os.Environ(), "SLUICE_PPROF="+r.pprof)
	}
	child, err := r.launch("sluice", cmd)
	if err != nil {
		return err
	}
	s := system{name: toOpenAI, address: loopback(port), model: "bench-openai", key: masterKey, sluice: child.PID}
	if err := r.ready(s, child, startWithin); err != nil {
		return err
	}
	if s.limited, err = limitedKey(s.address); err != nil {
		return err
	}
	started, err := children(child.PID)
	if err != nil {
		return err
	}
	for _, pid := range started {
		if workers := argument(pid, "--concurrency"); workers != "" {
			s.envoy, r.workers = pid, workers
		}
	}
	if s.envoy == 0 {
		return fmt.Errorf("no Envoy among its child processes %v", started)
	}
	r.systems = append(r.systems, s)
	s.name, s.model = toAnthropic, "bench-anthropic"
	r.systems = append(r.systems, s)
	return nil
}

// deployment has one base URL, or a list of them.
func deployment(alias, model string, base any) map[string]any {
	return map[string]any{"model_name": alias, "litellm_params": map[string]any{
		"model": model, "api_key": "sk-provider-0123456789", "api_base": base, "max_tokens": 256}}
}

// held has a limit in time, to the end of an answer or the first words of a stream.
func held(d map[string]any) map[string]any {
	d["litellm_params"].(map[string]any)["timeout"] = 30
	return d
}

// limited has limits of its own that no load reaches, and is one of several.
func limited(i int, d map[string]any) map[string]any {
	d["model_info"] = map[string]any{"id": fmt.Sprintf("routed-%d", i)}
	p := d["litellm_params"].(map[string]any)
	p["rpm"], p["tpm"], p["max_parallel_requests"] = 1e9, 1e12, 1e6
	return d
}

func (r *rig) startPlain(o options) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	file := filepath.Join(r.dir, "plain.json")
	to := r.upstream.listener.Addr().(*net.TCPAddr).Port
	if err := os.WriteFile(file, fmt.Appendf(nil, plainTemplate, port, to), 0o600); err != nil {
		return err
	}
	child, err := r.launch("plain", exec.Command(o.envoy, "--config-path", file, "--disable-hot-restart",
		"--concurrency", r.workers, "--log-level", "warning"))
	if err != nil {
		return err
	}
	s := system{name: plainProxy, address: loopback(port), model: "bench-openai", envoy: child.PID}
	r.systems = append([]system{s}, r.systems...)
	return r.ready(s, child, startWithin)
}

// launch starts a process whose words go to a file.
func (r *rig) launch(name string, cmd *exec.Cmd) (*childproc.Child, error) {
	log, err := os.Create(filepath.Join(r.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	child, err := childproc.Start(cmd)
	if err != nil {
		return nil, err
	}
	r.children = append(r.children, child)
	return child, nil
}

// ready waits for the first good answer.
func (r *rig) ready(s system, child *childproc.Child, within time.Duration) error {
	request := s.request(scenarios[0])
	for deadline := time.Now().Add(within); ; {
		err := once(s.address, request)
		if err == nil {
			return nil
		}
		select {
		case <-child.Done():
			return fmt.Errorf("it ended at once: %v", child.Err())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no good answer within %v: %w", within, err)
		}
	}
}

func once(address string, request []byte) error {
	c, err := dial(address)
	if err != nil {
		return err
	}
	defer c.close()
	return c.do(request)
}

// lastWords is the end of what a process that did not start has said.
func (r *rig) lastWords(name string) string {
	text, _ := os.ReadFile(filepath.Join(r.dir, name+".log"))
	if len(text) == 0 {
		return ""
	}
	return "\nits log:\n" + string(text[max(0, len(text)-4096):])
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
