package adapters

import (
	"slices"

	"github.com/sluicegw/sluice/internal/apierror"
)

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
	// takes are the OpenAI parameters that the provider takes, nil for all of them; others are refused,
	// or dropped with drop_params. also extends the list.
	takes, also []string
	// silent are parameters that are left out and that nobody misses.
	silent []string
	// rename maps OpenAI's parameters to the provider's.
	rename []renaming
	// special is for what cannot be said as data.
	special func(*call) *apierror.Error
	// prefix is put before model names that have no slash.
	prefix string
	// noStreamOptions: the provider refuses stream_options and reports a stream's usage without them.
	noStreamOptions bool
	// markCache: the provider reads cache_control marks; others never see them.
	markCache bool
	// noNames: only tool messages may have a name. noNulls: a message's member may not be null.
	noNames, noNulls bool
	// noReasoningBack: the reasoning_content of an earlier answer is refused.
	noReasoningBack bool
	// versioned: the base URL ends in /v1, which an api_base may leave out.
	versioned bool
	// bytesOnly: images go as bytes, never as URLs, although the dialect has them.
	bytesOnly bool
	// plainText: content that is all text is sent as one string.
	plainText bool
	// jsonByTool tells the models that get a JSON schema as a forced tool, whose arguments become the
	// content, because they have no structured output.
	jsonByTool func(model string) bool
	// chats tells the models that answer chats only: a completion is asked for as one.
	chats func(model string) bool
}

var (
	bearer   = bearerHost{}
	plainMax = []renaming{{"max_completion_tokens", "max_tokens"}}

	perplexityTakes = []string{
		"frequency_penalty", "max_tokens", "max_completion_tokens", "presence_penalty",
		"response_format", "temperature", "top_p", "reasoning_effort", "web_search_options",
	}
	mistralTakes = []string{
		"temperature", "top_p", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "seed",
		"stop", "response_format", "parallel_tool_calls", "reasoning_effort",
	}
	cerebrasTakes = []string{
		"max_tokens", "max_completion_tokens", "response_format", "seed", "stop", "temperature",
		"top_p", "tool_choice", "tools", "reasoning_effort", "logprobs", "top_logprobs", "parallel_tool_calls",
	}
	nvidiaTakes = []string{
		"temperature", "top_p", "frequency_penalty", "presence_penalty", "max_tokens",
		"max_completion_tokens", "stop", "seed", "tools", "tool_choice", "parallel_tool_calls",
		"response_format",
	}
)

// providers holds every provider that is built. One more provider with OpenAI's API is one more row,
// here if it has quirks, in plainProviders if it has none.
var providers = append([]provider{
	{
		name: "openai", base: "https://api.openai.com/v1", env: []string{"OPENAI_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{reasoning: true, noReasoningBack: true, noNulls: true, chats: isOwnChat},
	},
	{
		name: "anthropic", base: "https://api.anthropic.com", env: []string{"ANTHROPIC_API_KEY"},
		dialect: anthropic{}, host: anthropicHost{},
	},
	{
		// Its credentials may come from files, containers and instances, too: what is missing, only AWS can tell.
		name: "bedrock", env: []string{"AWS_BEARER_TOKEN_BEDROCK"}, keyless: true,
		dialect: bedrock{}, host: bedrockHost{}, quirks: quirks{bytesOnly: true},
	},
	{
		name: "groq", base: "https://api.groq.com/openai/v1", env: []string{"GROQ_API_KEY"},
		dialect: openAI{}, host: bearer,
		quirks: quirks{noNulls: true, noReasoningBack: true, jsonByTool: groqJSONByTool},
	},
	{
		name: "together_ai", base: "https://api.together.ai/v1",
		env:     []string{"TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"},
		dialect: openAI{}, host: bearer, quirks: quirks{rename: plainMax},
	},
	{
		name: "mistral", base: "https://api.mistral.ai/v1", env: []string{"MISTRAL_API_KEY"},
		dialect: openAI{}, host: bearer,
		quirks: quirks{
			takes: mistralTakes, rename: []renaming{{"max_completion_tokens", "max_tokens"}, {"seed", "random_seed"}},
			silent: []string{"user", "stream_options"}, noStreamOptions: true, special: mistral,
			noNames: true, noNulls: true, noReasoningBack: true, plainText: true, versioned: true,
		},
	},
	{
		name: "deepseek", base: "https://api.deepseek.com/beta", env: []string{"DEEPSEEK_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{rename: plainMax, special: deepSeek, plainText: true},
	},
	{
		name: "fireworks_ai", base: "https://api.fireworks.ai/inference/v1",
		env:     []string{"FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"},
		dialect: openAI{}, host: bearer,
		quirks: quirks{prefix: "accounts/fireworks/models/", rename: plainMax},
	},
	{
		name: "perplexity", base: "https://api.perplexity.ai", env: []string{"PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{takes: perplexityTakes, silent: []string{"user"}, rename: plainMax},
	},
	{
		name: "openrouter", base: "https://openrouter.ai/api/v1", env: []string{"OPENROUTER_API_KEY", "OR_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{special: openRouter, markCache: true},
	},
	{
		name: "xai", base: "https://api.x.ai/v1", env: []string{"XAI_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{},
	},
	{
		name: "cerebras", base: "https://api.cerebras.ai/v1", env: []string{"CEREBRAS_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{takes: cerebrasTakes, rename: plainMax},
	},
	{
		name: "nvidia_nim", base: "https://integrate.api.nvidia.com/v1", env: []string{"NVIDIA_NIM_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{takes: nvidiaTakes, silent: []string{"user"}, rename: plainMax},
	},
	{
		name: "deepinfra", base: "https://api.deepinfra.com/v1/openai", env: []string{"DEEPINFRA_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{rename: plainMax},
	},
	{
		name: "sambanova", base: "https://api.sambanova.ai/v1", env: []string{"SAMBANOVA_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{rename: plainMax},
	},
	{
		name: "moonshot", base: "https://api.moonshot.ai/v1", env: []string{"MOONSHOT_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{rename: plainMax},
	},
	{
		name: "hosted_vllm", env: []string{"HOSTED_VLLM_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{markCache: true, noNulls: true, special: vllm},
	},
	{
		name: "vllm", env: []string{"HOSTED_VLLM_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{markCache: true, noNulls: true, special: vllm},
	},
	{
		name: "lm_studio", env: []string{"LM_STUDIO_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{},
	},
	{
		name: "llamafile", base: "http://127.0.0.1:8080/v1", env: []string{"LLAMAFILE_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{},
	},
	{
		name: "litellm_proxy", env: []string{"LITELLM_PROXY_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{markCache: true},
	},
	{
		name: "openai_like", env: []string{"OPENAI_LIKE_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{markCache: true},
	},
	{
		name: "custom_openai", env: []string{"OPENAI_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{markCache: true},
	},
	{
		// demo answers from a program on the same machine, for trying the gateway without a key.
		name: "demo", env: []string{"DEMO_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{markCache: true},
	},
}, plainRows()...)

// plainProviders have OpenAI's API and no quirks that we know of.
var plainProviders = []struct{ name, base, env string }{
	{"aiml", "https://api.aimlapi.com/v1", "AIML_API_KEY"},
	{"dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"},
	{"featherless_ai", "https://api.featherless.ai/v1", "FEATHERLESS_AI_API_KEY"},
	{"hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"},
	{"inception", "https://api.inceptionlabs.ai/v1", "INCEPTION_API_KEY"},
	{"lambda_ai", "https://api.lambda.ai/v1", "LAMBDA_API_KEY"},
	{"meta_llama", "https://api.llama.com/compat/v1", "LLAMA_API_KEY"},
	{"minimax", "https://api.minimax.io/v1", "MINIMAX_API_KEY"},
	{"morph", "https://api.morphllm.com/v1", "MORPH_API_KEY"},
	{"nebius", "https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"},
	{"novita", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY"},
	{"nscale", "https://inference.api.nscale.com/v1", "NSCALE_API_KEY"},
	{"scaleway", "https://api.scaleway.ai/v1", "SCW_SECRET_KEY"},
	{"v0", "https://api.v0.dev/v1", "V0_API_KEY"},
	{"vercel_ai_gateway", "https://ai-gateway.vercel.sh/v1", "VERCEL_AI_GATEWAY_API_KEY"},
	{"volcengine", "https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY"},
	{"wandb", "https://api.inference.wandb.ai/v1", "WANDB_API_KEY"},
	{"zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY"},
}

func plainRows() []provider {
	rows := make([]provider, 0, len(plainProviders))
	for _, p := range plainProviders {
		rows = append(rows, provider{name: p.name, base: p.base, env: []string{p.env}, dialect: openAI{}, host: bearer})
	}
	return rows
}

// notBuilt are providers of LiteLLM's that have no row yet.
var notBuilt = []string{
	"ai21", "azure", "azure_ai", "cohere", "cohere_chat", "cloudflare", "databricks",
	"gemini", "github", "github_copilot", "huggingface", "ollama", "ollama_chat",
	"replicate", "sagemaker", "snowflake", "text-completion-openai", "vertex_ai", "vertex_ai_beta",
	"voyage", "watsonx",
}

// EnvKey is the environment variable that holds a provider's API key by convention, or "".
func EnvKey(name string) string {
	if p := byName(name); p != nil && len(p.env) > 0 {
		return p.env[0]
	}
	return ""
}

// EnvKeys are all the environment variables that may hold a provider's API key, the first being
// [EnvKey].
func EnvKeys(name string) []string {
	if p := byName(name); p != nil {
		return slices.Clone(p.env)
	}
	return nil
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
