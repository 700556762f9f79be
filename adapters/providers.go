package adapters

import "slices"

// provider is one row of the table: everything that sets a provider apart.
type provider struct {
	name string
	// base is the URL of its API; empty if every installation has its own, named by api_base.
	base string
	// env are the environment variables that hold its API key; the first is the one to recommend.
	env     []string
	dialect dialect
	host    host
	// keyless providers are self-hosted and work without an API key.
	keyless bool
	quirks  quirks
}

// quirks is what differs between providers of one dialect.
type quirks struct {
	// reasoning holds OpenAI's rules for o-series and gpt-5 models.
	reasoning bool
	// drop are parameters the provider does not have: dropped with drop_params, else refused.
	drop []string
	// silent are parameters the provider does not have and nobody misses.
	silent []string
	// rename maps OpenAI's name of a parameter to the provider's.
	rename map[string]string
	// prefix is put before model names that have no slash.
	prefix string
	// noStreamOptions: the provider refuses stream_options and reports usage without being asked.
	noStreamOptions bool
	// markCache: the provider reads cache_control marks; others never see them.
	markCache bool
}

var (
	bearer = bearerHost{}
	maxTok = map[string]string{"max_completion_tokens": "max_tokens"}
)

// providers holds every provider that is built. A provider with OpenAI's API is one more row.
var providers = []provider{
	{
		name: "openai", base: "https://api.openai.com/v1", env: []string{"OPENAI_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{reasoning: true},
	},
	{name: "anthropic", base: "https://api.anthropic.com", env: []string{"ANTHROPIC_API_KEY"}, dialect: openAI{}, host: bearer},
	{name: "hosted_vllm", env: []string{"HOSTED_VLLM_API_KEY"}, dialect: openAI{}, host: bearer, keyless: true, quirks: quirks{rename: maxTok, markCache: true}},
}

// EnvKey is the environment variable that holds a provider's API key by convention, or "".
func EnvKey(name string) string {
	if p := byName(name); p != nil && len(p.env) > 0 {
		return p.env[0]
	}
	return ""
}

// Providers lists the names of all providers that are built, sorted.
func Providers() []string {
	names := make([]string, len(providers))
	for i := range providers {
		names[i] = providers[i].name
	}
	slices.Sort(names)
	return names
}

func byName(name string) *provider {
	for i := range providers {
		if providers[i].name == name {
			return &providers[i]
		}
	}
	return nil
}
