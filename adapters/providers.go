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
	// setup takes the provider's own settings, after the rest of the Target is made; nil if it has none.
	setup func(*Target, *Params) error
	// settings are the environment variables that a setting comes from where the deployment has none;
	// api_version and api_base among them.
	settings map[string][]string
	quirks   quirks
}

// quirks is what differs between providers of one dialect.
type quirks struct {
	// reasoning holds OpenAI's rules for o-series and gpt-5 models.
	reasoning bool
	// takes are the OpenAI parameters that the provider takes, nil for all of them; others are refused,
	// or dropped with drop_params. also extends the list.
	takes, also []string
	// refuses are parameters that it does not take, where takes is nil.
	refuses []string
	// reasons tells whether a call's model takes a reasoning_effort; nil: all do.
	reasons func(*call) bool
	// stops is how many stop sequences the provider takes at most, 0 if more than anybody has.
	stops int
	// silent are parameters that are left out and that nobody misses.
	silent []string
	// rename maps OpenAI's parameters to the provider's.
	rename []renaming
	// special is for what cannot be said as data; embedSpecial is its like for embeddings.
	special      func(*call) *apierror.Error
	embedSpecial func(*call)
	// prefix is put before model names that have no slash.
	prefix string
	// noStreamOptions: the provider refuses stream_options and reports a stream's usage without them.
	noStreamOptions bool
	// markCache: the provider reads cache_control marks; others never see them. markModels are parts of the
	// names of the models that do, nil for all. markOwn: whoever imitates it at an api_base may read them.
	markCache, markOwn bool
	markModels         []string
	// named is the only role whose messages may have a name; "": all may.
	named string
	// noEmpty: an assistant or system message that says nothing is left out.
	noEmpty bool
	// noReasoningBack: the reasoning_content of an earlier answer is refused; noThinkingBack: its
	// thinking_blocks.
	noReasoningBack, noThinkingBack bool
	// joinAssistant: an assistant's text parts become the lines of one text.
	joinAssistant bool
	// promptFilter: a stream begins with an event about the prompt that has no choices.
	promptFilter bool
	// emptyIsNull: an answer without words has an empty text, where OpenAI's has null.
	emptyIsNull bool
	// costAnswered: a stream tells its cost where the model that the provider names has prices, as LiteLLM's does.
	costAnswered bool
	// azureModels: the provider is Azure, whose deployments need not be named like their models.
	azureModels bool
	// floats: embeddings are asked for in base64, which is shorter, and given as numbers.
	floats bool
	// versioned: the base URL ends in /v1, which an api_base may leave out.
	versioned bool
	// bytesOnly: images go as bytes, never as URLs, although the dialect has them.
	bytesOnly bool
	// plainText: content that is all text is sent as one string. textOnly: of other content, too, only the
	// text, because the provider refuses lists.
	plainText, textOnly bool
	// embedTakes are the parameters of embeddings that it takes, nil for all.
	embedTakes []string
	// asIs: what else than OpenAI's its whole answers hold stays where it is. reasoningTwice: a stream tells its
	// reasoning under its own name, too. reasoningApart: the usage counts reasoning beside the completion.
	asIs, reasoningTwice, reasoningApart bool
	// tiers: the provider has words of its own for the service tier of an answer.
	tiers bool
	// wholeJSON: the provider does not stream answers with a response_format.
	wholeJSON bool
	// jsonByTool tells the models that get a JSON schema as a forced tool, whose arguments become the
	// content, because they have no structured output.
	jsonByTool func(model string) bool
	// rerank is the path of its rerank API under the base URL; "" if it has none.
	rerank string
	// status is the status that an error is passed on with, where it is not the one that it came with.
	status func(c *call, status int, f *failure) int
	// claudeVersion stands in Claude's requests in place of the model's name, which the path has.
	claudeVersion string
	// chats tells the models that answer chats only: a completion is asked for as one.
	chats func(model string) bool
}

var (
	bearer   = bearerHost{}
	plainMax = []renaming{{"max_completion_tokens", "max_tokens"}}

	// chatsOnly is for providers without the old completions API.
	chatsOnly = func(string) bool { return true }

	perplexityTakes = []string{
		"frequency_penalty", "max_tokens", "max_completion_tokens", "presence_penalty",
		"response_format", "temperature", "top_p", "reasoning_effort", "web_search_options",
	}
	// newer are OpenAI's words that most others do not know.
	newer        = []string{"thinking", "verbosity", "context_management"}
	mistralTakes = []string{
		"temperature", "top_p", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "seed",
		"stop", "response_format", "parallel_tool_calls", "reasoning_effort", "thinking",
	}
)

// providers holds every provider that is built. One more provider with OpenAI's API is one more row, in
// compatible.json if what sets it apart can be said there, here otherwise.
var providers = append([]provider{
	{
		name: "openai", base: "https://api.openai.com/v1", env: []string{"OPENAI_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{reasoning: true, markOwn: true, chats: isOwnChat, stops: 4},
	},
	{
		name: "text-completion-openai", base: "https://api.openai.com/v1", env: []string{"OPENAI_API_KEY"},
		dialect: openAI{}, host: bearer,
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
		name: "gemini", base: "https://generativelanguage.googleapis.com", env: []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"},
		dialect: gemini{}, host: geminiHost{}, quirks: quirks{status: googleStatus},
	},
	{
		name: "vertex_ai", base: "https://aiplatform.googleapis.com", keyless: true, dialect: vertexAI{}, host: vertexHost{},
		quirks: quirks{
			rename: plainMax, silent: []string{"user"}, bytesOnly: true, claudeVersion: "vertex-2023-10-16",
			jsonByTool: vertexByTool, status: googleStatus,
		},
	},
	{
		name: "groq", base: "https://api.groq.com/openai/v1", env: []string{"GROQ_API_KEY"},
		dialect: openAI{}, host: bearer,
		quirks: quirks{
			chats: chatsOnly,
			asIs:  true, stops: 4, jsonByTool: groqJSONByTool, wholeJSON: true, tiers: true, rename: plainMax, silent: []string{"user"},
			refuses: newer, reasons: (*call).reasons, special: groq,
		},
	},
	{
		name: "together_ai", base: "https://api.together.ai/v1",
		env:     []string{"TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"},
		dialect: openAI{}, host: bearer,
		quirks: quirks{
			noThinkingBack: true,
			rename:         plainMax, silent: []string{"user"}, refuses: newer, rerank: "/rerank",
			reasons: togetherReasons,
		},
	},
	{
		name: "mistral", base: "https://api.mistral.ai/v1", env: []string{"MISTRAL_API_KEY"},
		dialect: openAI{}, host: bearer,
		quirks: quirks{
			chats: chatsOnly,
			takes: mistralTakes, rename: []renaming{{"max_completion_tokens", "max_tokens"}, {"seed", "random_seed"}},
			silent: []string{"user", "stream_options"}, noStreamOptions: true, special: mistral,
			named: "tool", noEmpty: true, noReasoningBack: true, noThinkingBack: true, plainText: true, versioned: true, emptyIsNull: true,
			reasons:    mistralReasons,
			embedTakes: []string{"encoding_format"},
		},
	},
	{
		name: "deepseek", base: "https://api.deepseek.com/beta", env: []string{"DEEPSEEK_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{
			chats:  chatsOnly,
			rename: plainMax, special: deepSeek, plainText: true, textOnly: true, silent: []string{"user"},
			refuses: []string{"verbosity", "context_management"},
		},
	},
	{
		name: "fireworks_ai", base: "https://api.fireworks.ai/inference/v1",
		env:     []string{"FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"},
		dialect: openAI{}, host: bearer,
		quirks: quirks{
			asIs: true, noThinkingBack: true, costAnswered: true, prefix: "accounts/fireworks/models/", rename: plainMax, special: fireworks, rerank: "/rerank",
			refuses: []string{
				"verbosity", "context_management", "store", "modalities", "audio", "safety_identifier", "web_search_options",
				"prompt_cache_retention", "functions", "function_call",
			},
			reasons:    (*call).reasons,
			embedTakes: []string{"dimensions"},
		},
	},
	{
		name: "perplexity", base: "https://api.perplexity.ai", env: []string{"PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{
			chats: chatsOnly,
			takes: perplexityTakes, silent: []string{"user", "stream_options"}, rename: plainMax, noStreamOptions: true,
			reasons: (*call).reasons,
		},
	},
	{
		name: "openrouter", base: "https://openrouter.ai/api/v1", env: []string{"OPENROUTER_API_KEY", "OR_API_KEY"},
		dialect: openAI{}, host: bearer, quirks: quirks{
			chats:          chatsOnly,
			reasoningTwice: true, special: openRouter, markCache: true, markModels: []string{"claude", "gemini", "minimax", "glm"}, silent: []string{"user"},
			refuses: []string{"verbosity", "context_management"},
		},
	},
	{
		name: "xai", base: "https://api.x.ai/v1", env: []string{"XAI_API_KEY"},
		dialect: openAI{}, host: bearer,
		quirks: quirks{
			chats: chatsOnly,
			refuses: append([]string{
				"store", "modalities", "audio", "prediction", "service_tier", "safety_identifier", "prompt_cache_key",
				"prompt_cache_retention", "functions", "function_call",
			}, newer...),
			reasoningApart: true, named: "user", special: xai, rename: plainMax, reasons: (*call).reasons,
		},
	},
	{
		name: "azure", env: []string{"AZURE_API_KEY", "AZURE_OPENAI_API_KEY"}, dialect: openAI{}, host: azureHost{},
		setup: azureSetup, settings: azureSettings,
		quirks: quirks{
			chats: azureChats, special: azure, markCache: true, promptFilter: true, floats: true, azureModels: true, stops: 4},
	},
	{
		name: "azure_text", env: []string{"AZURE_API_KEY", "AZURE_OPENAI_API_KEY"}, dialect: openAI{}, host: azureHost{},
		setup: azureSetup, settings: azureSettings,
	},
	{
		name: "azure_ai", env: []string{"AZURE_AI_API_KEY"}, dialect: openAI{}, host: azureAIHost{},
		setup: azureSetup, settings: azureAISettings,
		quirks: quirks{
			chats:           chatsOnly,
			noReasoningBack: true, plainText: true, rerank: "/v1/rerank", silent: []string{"user"}, refuses: newer,
			reasons: (*call).reasons,
		},
	},
	{
		name: "cohere", base: "https://api.cohere.com", env: []string{"COHERE_API_KEY", "CO_API_KEY"},
		dialect: cohere{}, host: cohereHost{},
	},
	{
		name: "cohere_chat", base: "https://api.cohere.com", env: []string{"COHERE_API_KEY", "CO_API_KEY"},
		dialect: cohere{}, host: cohereHost{},
	},
	{
		name: "ollama", base: "http://localhost:11434", env: []string{"OLLAMA_API_KEY"}, keyless: true,
		dialect: ollama{generate: true}, host: ollamaHost{generate: true},
	},
	{
		name: "ollama_chat", base: "http://localhost:11434", env: []string{"OLLAMA_API_KEY"}, keyless: true,
		dialect: ollama{}, host: ollamaHost{},
	},
	{
		name: "hosted_vllm", env: []string{"HOSTED_VLLM_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{noThinkingBack: true, joinAssistant: true, special: vllm, embedSpecial: vllmEmbed, rerank: "/rerank"},
	},
	{
		name: "vllm", env: []string{"HOSTED_VLLM_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{noThinkingBack: true, joinAssistant: true, special: vllm, embedSpecial: vllmEmbed, rerank: "/rerank"},
	},
	{
		name: "litellm_proxy", env: []string{"LITELLM_PROXY_API_KEY"}, keyless: true,
		dialect: openAI{}, host: bearer, quirks: quirks{markCache: true, rerank: "/rerank"},
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
}, compatibleRows()...)

// notBuilt are providers of LiteLLM's that have no row yet.
var notBuilt = []string{
	"cloudflare", "github_copilot", "replicate", "sagemaker", "snowflake", "voyage", "watsonx",
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

// EnvSettings are the environment variables that a provider's settings come from where the deployment has
// none, by the setting's name in litellm_params: api_base, api_version, tenant_id ….
func EnvSettings(name string) map[string][]string {
	if p := byName(name); p != nil {
		return p.settings
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
	if name == "vertex_ai_beta" {
		name = "vertex_ai" // LiteLLM's other name for it
	}
	for i := range providers {
		if providers[i].name == name {
			return &providers[i]
		}
	}
	return nil
}
