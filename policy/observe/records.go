package observe

import (
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// Deployment is a deployment as labels show it. APIBase must hold no credentials.
type Deployment struct {
	ID       string // label model_id
	Group    string // label model_group
	Provider string // label api_provider
	Model    string // label model and litellm_model_name: as configured, "gpt-4o" or "*"
	APIBase  string // label api_base
	Out      bool   // it gets no calls, for want of a key: its state is Outage
}

// State is the value of litellm_deployment_state.
type State int32

// LiteLLM's three states.
const (
	Healthy State = 0
	Partial State = 1 // its last attempt failed
	Outage  State = 2 // it is cooling down, or out of service
)

// CallRecord is one call of a client, from its first byte to its last.
type CallRecord struct {
	Group          string // the group that answered or was tried last; empty: none
	RequestedModel string // as the client wrote it
	KeyHash        string // of the authenticated key; empty: none
	KeyAlias       string
	Deployment     string        // id of the deployment that answered or failed last; empty: none
	Status         int           // what the client got
	Kind           apierror.Kind // empty: the call succeeded
	Stream         bool

	Duration   time.Duration // the whole call
	Upstream   time.Duration // from the first attempt sent to the last byte of the answer; 0: nothing was sent
	FirstToken time.Duration // of a stream, from the attempt that answered; 0: there was none
	Overhead   time.Duration // spent in sluice

	InputTokens, OutputTokens int     // as the provider reported or as estimated
	Spend                     float64 // in US dollars; 0: nothing, or not known
	Retries, Fallbacks        int     // how many came before the answer
}

// AttemptRecord is one attempt at one deployment.
type AttemptRecord struct {
	Deployment     string // its id
	RequestedModel string // as the client wrote it; empty: not known
	KeyHash        string
	KeyAlias       string
	Status         int           // 0: no answer came
	Kind           apierror.Kind // empty: it succeeded
}

// classes are LiteLLM's exception classes: they label failures in its dashboards.
var classes = map[apierror.Kind]string{
	apierror.BadRequest:      "BadRequestError",
	apierror.ContextLength:   "ContextWindowExceededError",
	apierror.ContentPolicy:   "ContentPolicyViolationError",
	apierror.Unauthenticated: "AuthenticationError",
	apierror.Forbidden:       "PermissionDeniedError",
	apierror.NotFound:        "NotFoundError",
	apierror.TooLarge:        "RequestEntityTooLarge",
	apierror.Conflict:        "ConflictError",
	apierror.RateLimit:       "RateLimitError",
	apierror.BudgetExceeded:  "BudgetExceededError",
	apierror.Timeout:         "Timeout",
	apierror.Overloaded:      "ServiceUnavailableError",
	apierror.Unavailable:     "APIConnectionError",
	apierror.Internal:        "InternalServerError",
	apierror.BadReply:        "APIResponseValidationError",
	apierror.Cancelled:       "Cancelled",
}

func class(k apierror.Kind) string {
	if c, ok := classes[k]; ok {
		return c
	}
	return "APIError"
}
