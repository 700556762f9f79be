package adapters

import (
	"github.com/sluicegw/sluice/internal/apierror"
)

// bearerHost is OpenAI's way: one path a call under the base URL, the key as a bearer token.
//
// https://platform.openai.com/docs/api-reference/authentication
type bearerHost struct{}

func (bearerHost) address(c *call, out *Outgoing) *apierror.Error {
	switch c.r.op {
	case Chat:
		out.Path = c.t.join("/chat/completions")
	case Completion:
		out.Path = c.t.join("/completions")
	case Embedding:
		out.Path = c.t.join("/embeddings")
	}
	out.Headers = append(make([]Header, 0, 5+len(c.t.headers)),
		Header{"content-type", "application/json"}, Header{"accept", accepts(c.r)})
	if c.t.key != "" {
		out.Headers = append(out.Headers, Header{"authorization", "Bearer " + c.t.key})
	}
	if c.t.org != "" {
		out.Headers = append(out.Headers, Header{"openai-organization", c.t.org})
	}
	out.Headers = c.t.withExtra(out.Headers)
	return nil
}

// accepts is the accept header: an error comes as JSON whatever was asked for.
func accepts(r *Request) string {
	if r.stream {
		return "text/event-stream, application/json"
	}
	return "application/json"
}
