package adapters

import (
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// bearerHost is OpenAI's way: one path a call under the base URL, the key as a bearer token.
//
// https://platform.openai.com/docs/api-reference/authentication
type bearerHost struct{}

func (bearerHost) address(c *call, out *Outgoing) *apierror.Error {
	out.Path = c.t.join(openAIVerb(c.r.op))
	if c.r.op == Rerank {
		out.Path = c.t.rerankPath()
	}
	out.Headers = append(make([]Header, 0, 5+len(c.t.headers)),
		Header{"content-type", "application/json"}, Header{"accept", accepts(c.r)})
	if c.t.key != "" {
		out.Headers = append(out.Headers, Header{"authorization", "Bearer " + c.t.key})
	}
	if c.t.org != "" {
		out.Headers = append(out.Headers, Header{"openai-organization", c.t.org})
	}
	out.Headers = c.withExtra(out.Headers)
	return nil
}

// accepts is the accept header: an error comes as JSON whatever was asked for.
func accepts(r *Request) string {
	if r.stream {
		return "text/event-stream, application/json"
	}
	return "application/json"
}

// openAIVerb is the end of a call's path.
func openAIVerb(op Op) string {
	switch op {
	case Completion:
		return "/completions"
	case Embedding:
		return "/embeddings"
	case Rerank:
		return "/rerank"
	}
	return "/chat/completions"
}

// rerankPath is where a provider with OpenAI's format reranks: beside the versioned API, or in it, as its
// quirk says.
func (t *Target) rerankPath() string {
	if base, ok := strings.CutSuffix(t.path, "/v1/rerank"); ok && t.p.quirks.rerank == "/rerank" {
		return base + "/rerank" + t.query
	}
	return t.join(t.p.quirks.rerank)
}
