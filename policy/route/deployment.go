package route

import (
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// Deployment is one entry of the model list: something that can answer for a model group.
type Deployment struct {
	ID    string // unique in a table and stable across reloads: health is kept by it
	Group string // model_name; may hold "*": a wildcard group

	// Weight, RPM and TPM are the shares that simple-shuffle goes by, in that order; 0: unset.
	Weight, RPM, TPM float64

	// Order puts lower values first: a higher one is tried only after the lower ones. nil: after all
	// deployments of the group that have one.
	Order *int

	Tags []string // for tag filtering

	// InputCost and OutputCost are US dollars a token, for cost-based-routing; they count if Priced.
	InputCost, OutputCost float64
	Priced                bool

	Timeout       time.Duration // one attempt, whole; 0: the table's
	StreamTimeout time.Duration // the same for a streamed reply; 0: the table's
	NumRetries    *int          // nil: the table's
	Cooldown      *time.Duration
	AllowedFails  *int // failures a minute before it cools down; nil: the table's

	// MaxInputTokens is how long a prompt may be; 0: not known.
	MaxInputTokens int64

	// Hidden marks a deployment made for a fallback entry `provider/model` that no group has. Its group
	// can be reached by configured fallbacks only: a client can neither ask for it nor name it.
	Hidden bool

	hash uint64 // of ID, for affinity
}

// Alias is an entry of model_group_alias: another name for a group.
type Alias struct {
	Group  string
	Hidden bool // works, but is not listed
}

// Settings are the router's settings. Start from [DefaultSettings]: a zero NumRetries means none.
type Settings struct {
	Strategy     string // routing_strategy; empty: simple-shuffle
	StrategyArgs StrategyArgs
	// StrategyByGroup is routing_groups: other strategies for some model groups.
	StrategyByGroup map[string]GroupStrategy
	// Affinity keeps calls together that have one of these in common, whatever the strategy is for others.
	Affinity Affinity

	TagFiltering bool // enable_tag_filtering
	TagMatchAny  bool // one of a request's tags is enough; otherwise a deployment needs all

	// RetryBudget is the share of a group's calls that it may have as retries, beside RetryFloor retries a
	// minute; see [DefaultRetryBudget].
	RetryBudget float64
	RetryFloor  int

	NumRetries    int
	MaxFallbacks  int           // how many fallback groups one plan may visit
	Timeout       time.Duration // 0: none configured
	StreamTimeout time.Duration // 0: none configured

	Cooldown     time.Duration // 0: deployments never cool down
	AllowedFails *int          // nil: LiteLLM's rules for an unset allowed_fails, see [Health]
	// AllowedFailsByKind is allowed_fails_policy: it goes before AllowedFails for these kinds.
	AllowedFailsByKind map[apierror.Kind]int

	// Fallbacks maps a group to the groups that follow it; "*" is for groups without an entry.
	Fallbacks map[string][]string
	Aliases   map[string]Alias
	// NamesTold: whoever read the settings has told already of fallbacks and aliases whose group nobody has.
	NamesTold bool
	// ContextFallbacks and PolicyFallbacks are the same for prompts that are too long and for content that is
	// refused. With an entry for any group, such failures take these alone; with none, the ordinary ones.
	ContextFallbacks, PolicyFallbacks map[string][]string

	// RetryPolicy is how many retries a kind of error gets within its group, in place of NumRetries;
	// GroupRetryPolicy goes before it for a group.
	RetryPolicy      RetryPolicy
	GroupRetryPolicy map[string]RetryPolicy

	// InferProvider is asked for the provider of a model name without prefix, so that "gpt-4o" finds the
	// group "openai/*". It answers "" when it does not know. nil: names are matched as they are.
	InferProvider func(model string) string
}

// GroupStrategy is the strategy of one model group.
type GroupStrategy struct {
	Strategy string
	Args     StrategyArgs
}

// LiteLLM's defaults (https://docs.litellm.ai/docs/proxy/config_settings).
const (
	DefaultNumRetries   = 2
	DefaultMaxFallbacks = 5
	DefaultCooldown     = 5 * time.Second
)

// maxAttempts bounds a plan: nobody waits for a seventeenth try, and Envoy gets the plan per call.
const maxAttempts = 16

// DefaultSettings are the settings of an empty router_settings section.
func DefaultSettings() Settings {
	return Settings{
		Strategy:     SimpleShuffle,
		NumRetries:   DefaultNumRetries,
		MaxFallbacks: DefaultMaxFallbacks,
		Cooldown:     DefaultCooldown,
		TagMatchAny:  true,
		RetryBudget:  DefaultRetryBudget,
		RetryFloor:   DefaultRetryFloor,
	}
}
