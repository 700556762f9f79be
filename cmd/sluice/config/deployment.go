package config

import (
	"encoding/json"
	"time"
)

// Deployment is one entry of model_list, or a provider/model that only a fallback names.
//
// Its fields are litellm_params by their LiteLLM names:
// https://docs.litellm.ai/docs/proxy/configs#all-settings.
type Deployment struct {
	// ID is model_info.id, else a hash of model_name and litellm_params: the same content has the same
	// ID after any reload, and no two deployments share one. A key that comes from the environment
	// counts by its variable's name, so rotating it keeps the ID.
	ID    string
	Group string // model_name
	// Hidden deployments serve fallbacks only: no client can ask for their group.
	Hidden bool
	// Unusable says, for a person, why this deployment must get no traffic; empty: nothing is known to be
	// missing.
	Unusable string

	Model    string // as written: "provider/name" or a bare name
	Provider string // custom_llm_provider; empty: Model says it

	APIKey     Secret
	APIKeySet  bool // the file gives a key; false: the provider's own variable is to be looked up
	APIBase    string
	MoreBases  []string // further addresses of the same deployment: they differ from APIBase in host and port
	HealthPath string   // where they say that they are well; empty: whether they take connections is looked at
	APIVersion string
	// Organization is OpenAI's. A list of them becomes one deployment each.
	Organization string
	// ProviderParams are the settings of particular providers (aws_*, vertex_*, tenant_id …) by name: a
	// text as it is, everything else as JSON.
	ProviderParams map[string]Secret

	// Weight is the share of the group's traffic; nil: RPM, else TPM, is the share.
	Weight              *float64
	RPM, TPM            int // per minute; 0: no limit is set
	MaxParallelRequests int // 0: no limit
	Order               int // lower ones are tried first; 0: not ordered
	Tags                []string

	Timeout       time.Duration  // of one attempt; 0: the router's
	StreamTimeout time.Duration  // to the first token of a stream; 0: the router's
	NumRetries    *int           // num_retries, else max_retries; nil: the router's
	Cooldown      *time.Duration // nil: the router's
	AllowedFails  *int           // a minute; nil: the router's

	ExtraHeaders map[string]Secret // to the provider, by name as written
	ExtraBody    json.RawMessage   // an object whose members go into the request body; nil: none
	// Defaults are request fields (temperature, max_tokens …) for requests that lack them: raw JSON.
	Defaults             map[string]json.RawMessage
	DropParams           bool // drop what the provider does not support instead of refusing it
	AdditionalDropParams []string

	Prices map[string]float64 // US dollars, by LiteLLM's names: input_cost_per_token …
	Info   ModelInfo

	// Shown are litellm_params as people may see them: without secrets. nil for those that only a fallback names.
	Shown json.RawMessage
	// Stored tells a model that was made at run time from those of the files.
	Stored, Blocked bool

	File string
	Line int
}

// ModelInfo is model_info.
type ModelInfo struct {
	BaseModel    string // the model whose prices and limits apply
	Mode         string // chat, completion, embedding …; empty: not said
	AccessGroups []string
	// Numbers are prices in US dollars, limits in tokens and abilities (1 or 0), by LiteLLM's names:
	// input_cost_per_token, max_input_tokens, supports_vision …. litellm_params win over them.
	Numbers map[string]float64
	Raw     json.RawMessage // all of it, with what has no field here; nil: none
}

// Name is how messages call the deployment: "gpt-4o (openai/gpt-4o)".
func (d *Deployment) Name() string {
	if d.Group == d.Model {
		return d.Group
	}
	return d.Group + " (" + d.Model + ")"
}
