package route

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicegw/sluice/internal/apierror"
)

// unknownModel is LiteLLM's answer to a model that no group has.
func unknownModel(model string) *apierror.Error {
	return &apierror.Error{
		Kind: apierror.BadRequest, Status: http.StatusBadRequest, Type: "invalid_request_error", Param: "model",
		Message: fmt.Sprintf("Invalid model name passed in model=%s. Call `/v1/models` to view available models for your key.", quoted(model)),
	}
}

// notAllowed is LiteLLM's answer to a key that may not use a model, whether or not there is such a model.
func notAllowed(model string) *apierror.Error {
	return &apierror.Error{
		Kind: apierror.Forbidden, Status: http.StatusForbidden, Type: "key_model_access_denied", Param: "model",
		Message: fmt.Sprintf("The requested model '%s' is not available for this API key, or the model name is invalid. "+
			"Check the models available to you and try again.", quoted(model)),
	}
}

// nothing is the answer when no attempt is left: wait for the first deployment to return, or what Can
// said. LiteLLM names the cooling deployments' ids to the client; they are in the log here.
func (p *planner) nothing(known bool) *apierror.Error {
	model := quoted(p.ask.Group)
	if !p.earliest.IsZero() {
		wait := max(p.earliest.Sub(p.health.at(p.now)), time.Second)
		e := &apierror.Error{Kind: apierror.RateLimit, Status: http.StatusTooManyRequests, RetryAfter: wait}
		reason := ""
		if p.refusal == nil && !p.full {
			reason = " All deployments for selected model are in cooldown."
		}
		e.Message = fmt.Sprintf("No deployments available for selected model, Try again in %s seconds.%s Passed model=%s.",
			e.RetryAfterSeconds(), reason, model)
		return e
	}
	var told *apierror.Error
	if errors.As(p.refusal, &told) {
		return told
	}
	if p.refusal == nil && !known { // neither the model nor any of the fallbacks that came with it
		return unknownModel(p.ask.Group)
	}
	reason := "its model group is empty"
	if p.refusal != nil {
		reason = p.refusal.Error()
	}
	return apierror.New(apierror.Overloaded, http.StatusTooManyRequests,
		"No deployments available for selected model. Passed model=%s: %s.", model, strings.TrimSuffix(reason, "."))
}

// pretended is the answer to who tries out fallbacks where there are none. The words are LiteLLM's.
func pretended(a *Ask) *apierror.Error {
	status := http.StatusBadRequest
	if classOf(a.Pretend) == ordinary {
		status = http.StatusInternalServerError
	}
	return apierror.New(a.Pretend, status, "This is a mock exception for model=%s, to trigger a fallback.", quoted(a.Group))
}

// Full is why a deployment cannot take a call now, but could later: one of its own limits is reached.
type Full struct {
	Reason     string        // a sentence without secrets
	RetryAfter time.Duration // until it has room
}

func (f *Full) Error() string { return f.Reason }

// noTag is LiteLLM's answer to tags that no deployment has.
func noTag(model string, tags []string) *apierror.Error {
	return apierror.New(apierror.Unauthenticated, http.StatusUnauthorized,
		"Not allowed to access model due to tags configuration. Passed model=%s and tags=%s", quoted(model), quoted(fmt.Sprint(tags)))
}

// quoted cuts a client's model name to a length that fits an error.
func quoted(model string) string {
	const most = 200
	if len(model) <= most {
		return model
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(model[cut]) {
		cut--
	}
	return model[:cut] + "…"
}
