// Package apierror is the one shape in which an error leaves sluice: OpenAI's JSON error object with
// the status, type and code that LiteLLM's clients expect.
//
// Every layer that refuses a call, or maps a provider's refusal, makes an [Error]; the layer that talks
// to the client only renders it. It holds no policy: who may retry what is decided from [Kind] by the
// planner, and how a provider's body becomes an Error is the adapters' business.
package apierror

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Kind is what went wrong, apart from its wording and its HTTP status. Retries, fallbacks and cooldowns
// are decided on kinds, never on text.
type Kind string

// The kinds of failure that sluice tells apart.
const (
	BadRequest      Kind = "bad_request"     // the client's making: never retried
	ContextLength   Kind = "context_length"  // the prompt is too long for this model
	ContentPolicy   Kind = "content_policy"  // the provider refused the content
	Unauthenticated Kind = "unauthenticated" // the credentials are missing or wrong
	Forbidden       Kind = "forbidden"       // the credentials do not allow this
	NotFound        Kind = "not_found"       // no such model or path
	TooLarge        Kind = "too_large"       // a body over the limit
	Conflict        Kind = "conflict"        // 409: worth another try
	RateLimit       Kind = "rate_limit"      // 429
	BudgetExceeded  Kind = "budget_exceeded" // a scope has spent its money
	Timeout         Kind = "timeout"         // no answer in time
	Overloaded      Kind = "overloaded"      // 529 and 503: the provider has no room
	Unavailable     Kind = "unavailable"     // could not be reached, or hung up
	Internal        Kind = "internal"        // any other 5xx
	BadReply        Kind = "bad_reply"       // the provider answered something unreadable
	Cancelled       Kind = "cancelled"       // the client left
)

// Error is a failed call as the client sees it.
type Error struct {
	Kind    Kind
	Status  int    // HTTP status, 400–599
	Type    string // OpenAI's error.type; empty: [TypeFor] of Status
	Code    string // OpenAI's error.code; empty: Status in digits, as LiteLLM writes it
	Param   string // OpenAI's error.param; empty: null
	Message string
	// Provider is the name of the provider that said so; empty when sluice itself did.
	Provider string
	// RetryAfter is how long the client should wait; zero: not told.
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string {
	if e.Provider != "" {
		return fmt.Sprintf("%s: %d %s: %s", e.Provider, e.Status, e.Kind, e.Message)
	}
	return fmt.Sprintf("%d %s: %s", e.Status, e.Kind, e.Message)
}

// New makes an error of sluice's own; its type and code follow from status.
func New(kind Kind, status int, format string, args ...any) *Error {
	return &Error{Kind: kind, Status: status, Message: fmt.Sprintf(format, args...)}
}

// TypeFor is LiteLLM's error.type for a provider's HTTP status.
func TypeFor(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "authentication_error"
	case status == http.StatusForbidden:
		return "permission_error"
	case status == http.StatusTooManyRequests:
		return "throttling_error"
	case status >= 500:
		return "internal_server_error"
	default:
		return "invalid_request_error"
	}
}

// KindFor is the kind that an HTTP status alone tells.
func KindFor(status int) Kind {
	switch status {
	case http.StatusUnauthorized:
		return Unauthenticated
	case http.StatusForbidden:
		return Forbidden
	case http.StatusNotFound:
		return NotFound
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return Timeout
	case http.StatusConflict:
		return Conflict
	case http.StatusRequestEntityTooLarge:
		return TooLarge
	case http.StatusTooManyRequests:
		return RateLimit
	case http.StatusServiceUnavailable, 529:
		return Overloaded
	}
	if status >= 500 {
		return Internal
	}
	return BadRequest
}

// JSON is the body of the answer: {"error":{"message","type","param","code"}}.
func (e *Error) JSON() []byte {
	typ, code := e.Type, e.Code
	if typ == "" {
		typ = TypeFor(e.Status)
	}
	if code == "" {
		code = strconv.Itoa(e.Status)
	}
	b := make([]byte, 0, 96+len(e.Message))
	b = append(b, `{"error":{"message":`...)
	b = AppendString(b, e.Message)
	b = append(b, `,"type":`...)
	b = AppendString(b, typ)
	b = append(b, `,"param":`...)
	if e.Param == "" {
		b = append(b, "null"...)
	} else {
		b = AppendString(b, e.Param)
	}
	b = append(b, `,"code":`...)
	b = AppendString(b, code)
	return append(b, "}}"...)
}

// RetryAfterSeconds renders RetryAfter for the header of that name: whole seconds, rounded up.
func (e *Error) RetryAfterSeconds() string {
	return strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10)
}
