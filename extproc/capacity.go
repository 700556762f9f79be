package extproc

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/route"
)

// full says why a deployment has no room for the call, or nil.
func (c *Call) full(d *Deployment) error {
	if len(d.Limits) == 0 {
		return nil
	}
	decision, err := c.server.Capacity.Peek(context.Background(), ratelimit.Request{Limits: d.Limits, Tokens: c.estimate})
	if err != nil || decision.Allowed {
		return nil
	}
	what := strconv.FormatInt(decision.Limit, 10)
	switch decision.Unit {
	case ratelimit.Parallel:
		what += " parallel requests"
	default:
		what += fmt.Sprintf(" %s a minute", decision.Unit)
	}
	return &route.Full{Reason: "its limit of " + what + " is reached", RetryAfter: decision.RetryAfter}
}

// Of a byte of text and of a file within a body; the truth is told by the answer.
const (
	bytesPerToken = 4
	tokensPerFile = 1000
)

// estimateTokens is what a request will probably use: its text, and as much output as it allows.
func estimateTokens(r *adapters.Request) int64 {
	body := r.Field("messages")
	for _, name := range [...]string{"input", "prompt"} {
		if body == nil {
			body = r.Field(name)
		}
	}
	size, files := len(body), 0
	for rest := body; ; files++ {
		i := bytes.Index(rest, []byte(";base64,"))
		if i < 0 {
			break
		}
		rest = rest[i:]
		end := bytes.IndexByte(rest, '"')
		if end < 0 {
			break
		}
		size -= end
		rest = rest[end:]
	}
	tokens := int64(size/bytesPerToken + files*tokensPerFile + len(r.Field("tools"))/bytesPerToken)
	for _, name := range [...]string{"max_completion_tokens", "max_tokens"} {
		if n, err := strconv.ParseInt(string(r.Field(name)), 10, 32); err == nil && n > 0 {
			return tokens + n
		}
	}
	return tokens
}
