package main

import (
	"testing"

	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/cmd/sluice/config"
)

func TestPricer(t *testing.T) {
	for _, c := range []struct {
		name          string
		d             config.Deployment
		input, output float64
		window        int64
		fixed         bool
	}{
		{"catalogue", config.Deployment{Model: "openai/gpt-4o"}, 2.5e-6, 1e-5, 128000, false},
		{"bare name", config.Deployment{Model: "claude-sonnet-4-5"}, 3e-6, 1.5e-5, 200000, false},
		{"custom provider", config.Deployment{Model: "openai/gpt-oss-120b", Provider: "groq"}, 1.5e-7, 6e-7, 131072, false},
		{"own prices", config.Deployment{Model: "openai/gpt-4o", Prices: map[string]float64{"input_cost_per_token": 1, "output_cost_per_token": 2}}, 1, 2, 128000, true},
		{"model_info", config.Deployment{Model: "openai/gpt-4o", Info: config.ModelInfo{Numbers: map[string]float64{
			"input_cost_per_token": 1, "output_cost_per_token": 2, "max_input_tokens": 9}}}, 1, 2, 9, true},
		{"litellm_params win", config.Deployment{Model: "openai/gpt-4o", Prices: map[string]float64{"input_cost_per_token": 3},
			Info: config.ModelInfo{Numbers: map[string]float64{"input_cost_per_token": 1}}}, 3, 1e-5, 128000, true},
		{"base_model", config.Deployment{Model: "openai/mine", Info: config.ModelInfo{BaseModel: "gpt-4o"}}, 2.5e-6, 1e-5, 128000, true},
		{"base_model of another", config.Deployment{Model: "openai/mine", Info: config.ModelInfo{BaseModel: "anthropic/claude-sonnet-4-5"}}, 3e-6, 1.5e-5, 200000, true},
		{"only a limit", config.Deployment{Model: "openai/mine", Info: config.ModelInfo{Numbers: map[string]float64{"max_input_tokens": 9}}}, -1, -1, 9, false},
		{"nobody's", config.Deployment{Model: "hosted_vllm/llama"}, -1, -1, 0, false},
	} {
		p := pricer(&c.d)
		info := p.Info()
		check := func(what string, got *float64, want float64) {
			if (got == nil) != (want < 0) || got != nil && *got != want {
				t.Errorf("%s: %s is %v, want %v", c.name, what, got, want)
			}
		}
		check("input", info.Prices.Input, c.input)
		check("output", info.Prices.Output, c.output)
		if info.MaxInputTokens != c.window || p.Fixed() != c.fixed {
			t.Errorf("%s: window %d, fixed %v", c.name, info.MaxInputTokens, p.Fixed())
		}
	}
	d := config.Deployment{Model: "openai/gpt-4o", Info: config.ModelInfo{Mode: "completion", Numbers: map[string]float64{"supports_vision": 0, "supports_reasoning": 1}}}
	if info := pricer(&d).Info(); info.Mode != "completion" || info.Can(catalog.Vision) || !info.Can(catalog.Reasoning) {
		t.Errorf("%+v", info)
	}
}
