package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	liteLLM = "litellm"
	// liteLLMStarts is how long Python takes to import it on a busy machine, twice over.
	liteLLMStarts = 3 * time.Minute
)

// startLiteLLM starts LiteLLM's proxy with one worker, before the same provider. Its processor time is shown
// where sluice's own is: there is no Envoy.
func (r *rig) startLiteLLM(o options) error {
	config, err := json.Marshal(map[string]any{
		"model_list":       []any{deployment("bench-openai", "openai/gpt-4o-mini", "http://"+r.upstream.address()+"/v1")},
		"general_settings": map[string]any{"master_key": masterKey},
	})
	if err != nil {
		return err
	}
	file := filepath.Join(r.dir, "litellm.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	cmd := exec.Command(o.liteLLM, "--config", file, "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--num_workers", "1",
		"--keepalive_timeout", "3600") // connections wait for their turn
	cmd.Dir = r.dir
	// Nothing may be asked of the internet: the prices that come with it will do.
	cmd.Env = append(os.Environ(), "LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_TELEMETRY=False", "LITELLM_LOG=ERROR")
	child, err := r.launch(liteLLM, cmd)
	if err != nil {
		return err
	}
	s := system{name: liteLLM, address: loopback(port), model: "bench-openai", key: masterKey, sluice: child.PID}
	r.systems = append(r.systems, s)
	return r.ready(s, child, liteLLMStarts)
}

// takes tells whether a scenario is measured of a system: the groups and keys of some are sluice's only.
func (sc scenario) takes(system string) bool {
	return system != liteLLM || sc.group == "" && !sc.limits
}

// beside is the table of LiteLLM and sluice.
func (r *results) beside(b *strings.Builder) {
	fmt.Fprintf(b, "## Beside LiteLLM\n\nThe processor time of %s (one worker, a master key, no database) in the same rounds.\n*times* is how many calls sluice with its Envoy answers in the time that LiteLLM takes for one.\n\n"+
		"| load | LiteLLM µs | sluice and Envoy µs | times |\n|---|---:|---:|---:|\n", liteLLMVersion(r.options.liteLLM))
	for _, w := range r.rows {
		if !w.scenario.takes(liteLLM) || !r.options.has(toOpenAI) {
			continue
		}
		fmt.Fprintf(b, "| %s | %.0f | %.0f | %.1f |\n", w.scenario.name, w.of(liteLLM, figures.micros), w.of(toOpenAI, figures.micros),
			w.against(liteLLM, toOpenAI, figures.micros))
	}
	b.WriteString("\n")
}

// liteLLMVersion is what "litellm --version" ends with.
func liteLLMVersion(program string) string {
	_ = os.Setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True") // nor does it ask the internet for its version
	words := strings.Fields(output(program, "--version"))
	if len(words) == 0 {
		return "LiteLLM"
	}
	return "LiteLLM " + words[len(words)-1]
}

func (o options) findLiteLLM() (string, error) {
	path, err := exec.LookPath(o.liteLLM)
	if err == nil {
		return filepath.Abs(path)
	}
	if errors.Is(err, exec.ErrDot) {
		return filepath.Abs(o.liteLLM)
	}
	return "", fmt.Errorf("-litellm: %w; python3 -m venv DIR && DIR/bin/pip install 'litellm[proxy]' makes DIR/bin/litellm", err)
}
