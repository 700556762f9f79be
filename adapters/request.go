package adapters

import (
	"fmt"
	"net/http"

	"github.com/sluicegw/sluice/adapters/fetch"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// Op is which of OpenAI's calls a request is.
type Op uint8

// The calls that are translated.
const (
	Chat       Op = iota // POST /v1/chat/completions
	Completion           // POST /v1/completions
	Embedding            // POST /v1/embeddings
	Rerank               // POST /v1/rerank, which is Cohere's: https://docs.cohere.com/reference/rerank
)

// String is the name of the call in logs and metrics.
func (op Op) String() string {
	switch op {
	case Chat:
		return "chat"
	case Completion:
		return "completion"
	case Embedding:
		return "embedding"
	case Rerank:
		return "rerank"
	}
	return fmt.Sprintf("Op(%d)", uint8(op))
}

// Request is a client's request: validated once, immutable, shared by every attempt to answer it.
type Request struct {
	op           Op
	body         []byte
	doc          jsondoc.Doc
	model        string
	stream       bool
	includeUsage bool
	numbered     bool // as NumberThoughts says
	facts        facts
	files        *fetch.Memo // what its URLs led to; nil: it has no parts that could hold one
}

// Parse validates the body of a request to op in OpenAI's shape. The body must not change as long as
// the Request is in use. Errors are for the client: 400, with the field at fault in Param.
func Parse(op Op, body []byte) (*Request, *apierror.Error) {
	doc, err := jsondoc.Parse(body)
	if err != nil {
		return nil, apierror.New(apierror.BadRequest, http.StatusBadRequest,
			"The request body is not a valid JSON object: %s.", err)
	}
	r := &Request{op: op, body: body, doc: doc}
	if err := r.validate(); err != nil {
		return nil, err
	}
	r.model = doc.Get("model").Text()
	r.stream = doc.Get("stream") == "true"
	if r.facts&hasParts != 0 {
		r.files = new(fetch.Memo)
	}
	r.includeUsage = doc.Get("stream_options").Get("include_usage") == "true"
	return r, nil
}

// Op is the call that the request was parsed as.
func (r *Request) Op() Op { return r.op }

// Model is the model as the client wrote it: a model group, an alias or provider/name.
func (r *Request) Model() string { return r.model }

// Stream tells whether the client wants server-sent events.
func (r *Request) Stream() bool { return r.stream }

// IncludeUsage tells whether the client wants a stream's usage, by stream_options.include_usage.
func (r *Request) IncludeUsage() bool { return r.includeUsage }

// Field is the raw JSON of a top-level member, nil if the client did not write it. It must not be
// modified.
func (r *Request) Field(name string) []byte {
	for _, m := range r.doc.Members() {
		if m.Name == name {
			return r.body[m.Value:m.End:m.End]
		}
	}
	return nil
}

// Body is the request as the client sent it. It must not be modified.
func (r *Request) Body() []byte { return r.body }

// Size is the length of the request body in bytes.
func (r *Request) Size() int { return len(r.body) }
