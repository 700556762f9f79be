package adapters

import (
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// geminiHost is the Gemini API, with an API key.
//
// https://ai.google.dev/api
type geminiHost struct{}

func (geminiHost) address(c *call, out *Outgoing) *apierror.Error {
	t := c.t
	model, err := modelPath(c.model)
	if err != nil {
		return err
	}
	version := ""
	if t.endpoint.Public && t.path == "" {
		version = "/v1beta"
		if c.r.op == Chat && geminiOf(c.model).three {
			version = "/v1alpha"
		}
	}
	out.Path = t.withQuery(t.path+version+"/models/"+model+":"+geminiVerb(c), streams(c))
	out.Headers = append(make([]Header, 0, 4+len(t.headers)),
		Header{"content-type", "application/json"}, Header{"accept", accepts(c.r)})
	if t.key != "" {
		out.Headers = append(out.Headers, Header{"x-goog-api-key", t.key})
	}
	out.Headers = c.withExtra(out.Headers)
	return nil
}

// hear takes the tier that an answer was served in.
func (geminiHost) hear(p *Reply, header func(string) string) { hearGoogle(p, header) }

func hearGoogle(p *Reply, header func(string) string) {
	tr := p.tr
	if t, ok := tr.(*completionReply); ok {
		tr = t.inner
	}
	if t, ok := tr.(*geminiReply); ok {
		t.header(header)
	}
}

// geminiVerb is the method that answers a call.
func geminiVerb(c *call) string {
	switch {
	case c.r.op == Embedding:
		return "batchEmbedContents"
	case c.r.stream:
		return "streamGenerateContent"
	}
	return "generateContent"
}

// streams tells whether Google has to be asked for server-sent events: its streams are JSON lists otherwise.
func streams(c *call) bool { return c.r.stream && c.r.op == Chat }

// withQuery is a path with the base URL's query, and alt=sse for a stream.
func (t *Target) withQuery(path string, stream bool) string {
	switch {
	case !stream:
		return path + t.query
	case t.query != "":
		return path + t.query + "&alt=sse"
	}
	return path + "?alt=sse"
}

// modelPath is a model's name as a part of a path. A client may have chosen it, if the deployment is a
// wildcard: it must not lead elsewhere.
func modelPath(model string) (string, *apierror.Error) {
	for i := range len(model) {
		c := model[i]
		if !plainByte(c) && strings.IndexByte("./@:", c) < 0 {
			return "", refused("model", "The model's name holds characters that Google's have not.")
		}
	}
	if model == "" || strings.Contains(model, "..") || strings.Contains(model, "//") || model[0] == '/' {
		return "", refused("model", "The model's name holds characters that Google's have not.")
	}
	return model, nil
}

// googleStatus is the status that an error is passed on with: a bad gateway and an overloaded model are failures
// like others, unless they end a stream.
func googleStatus(c *call, status int, f *failure) int {
	stream := c.r.stream && publisherOf(c.model) == google
	if !stream && (status == 502 || status == 503 && strings.Contains(f.message, "model is overloaded")) {
		return 500
	}
	return status
}

// classify tells Google's errors apart: most by their status, some by words.
func (gemini) classify(status int, f *failure) (apierror.Kind, int) { return classifyGoogle(status, f) }

func classifyGoogle(status int, f *failure) (apierror.Kind, int) {
	text := strings.ToLower(f.message)
	switch {
	case f.code == "API_KEY_INVALID", strings.Contains(text, "api key not valid"):
		return apierror.Unauthenticated, 401 // Google says 400
	case strings.Contains(text, "exceeds the maximum number of tokens allowed"):
		return apierror.ContextLength, 400
	case strings.Contains(text, "the response was blocked"):
		return apierror.ContentPolicy, 400
	case strings.Contains(text, "model is overloaded"):
		return apierror.Overloaded, status
	case status == statusOverloaded:
		return apierror.Overloaded, status
	case status == 405, status == 409, status == 413, status == 415:
		return apierror.KindFor(status), status
	}
	return classify(status, f)
}
