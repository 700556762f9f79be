package extproc

import (
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/route"
)

// Snapshot is everything about the configuration that a call needs. It is immutable: a call takes one at
// its start and keeps it to its end, whatever is reloaded meanwhile.
type Snapshot struct {
	Table       *route.Table
	Keys        *keys.Keyring
	Deployments map[string]*Deployment // by id

	// Timeout bounds one attempt where neither the client nor the deployment says otherwise.
	Timeout time.Duration
	// CallTimeout is the one deadline of a call's attempts; 0: none.
	CallTimeout time.Duration
	// RetryAfter is the least wait before a deployment that has failed is asked again.
	RetryAfter time.Duration
	// Windows has prompts counted before a deployment is planned whose context window is known.
	Windows bool
	// CountTokens tells that some deployment has a limit of tokens.
	CountTokens bool
	// Rates are the limits of everybody.
	Rates Rates
	// Budgets are those of the configuration; nil: none.
	Budgets *Budgets
	// Version of sluice, for x-litellm-version.
	Version string
}

// Deployment is one deployment as a call meets it.
type Deployment struct {
	ID      string
	Group   string
	Cluster string // its cluster in Envoy
	// Timed is the same endpoint's cluster with the deployment's timeout built in: for answers that are
	// not streamed, where that timeout is shorter than that of other attempts of the plan. Empty: no
	// deployment has a longer one.
	Timed   string
	Target  *adapters.Target
	Out     string // why it takes no calls; empty: it is in service
	APIBase string // for x-litellm-model-api-base
	// Prices tell what its calls cost, and what its model can do; never nil in a made configuration.
	Prices *catalog.Pricer
	// Limits are its own: calls beyond them go elsewhere.
	Limits []ratelimit.Limit
}
