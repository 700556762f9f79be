package adapters

import (
	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// dialect is one wire format: OpenAI's JSON to the provider's and back. It is stateless; what a
// streamed reply must remember lives in the translator made for it.
type dialect interface {
	// carries tells whether the format has the operation at all.
	carries(op Op) bool
	// supports finds what the provider cannot do, or takes it out of c if the deployment drops
	// parameters. It is called before body, on the same call.
	supports(c *call) *apierror.Error
	// body writes the provider's request.
	body(c *call) ([]byte, *apierror.Error)
	// translator reads the answer to c.
	translator(c *call, p *Reply) translator
	// failure reads an error object of the provider's; nil if doc holds none.
	failure(doc *jsondoc.Doc) *failure
}

// translator reads one answer. A method's error is what the provider reported, or that its answer makes
// no sense; it ends the answer.
type translator interface {
	// whole appends the client's JSON for an answer that came in one piece.
	whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error)
	// event appends the client's events for one of the provider's.
	event(dst []byte, ev framing.Event) ([]byte, *apierror.Error)
	// end appends what the client must still be told, [DONE] apart, when the stream is over. told: the provider
	// said so ([DONE]). complete
	// is false if it was cut short.
	end(dst []byte, told bool) (out []byte, complete bool)
}

// host is where a provider's API is and how a request proves who sends it.
type host interface {
	// address fills in path and headers of out, whose body is final: some hosts sign it.
	address(c *call, out *Outgoing) *apierror.Error
}

// settler is a host that wants more of a deployment's settings than its URL and key.
type settler interface {
	// fromEnvironment completes set, a deployment's [Params.Settings], from environment variables.
	fromEnvironment(set map[string]string, lookup func(name string) (string, bool))
	// setup runs before the base URL is taken: it may set p.APIBase, or t.own in place of the provider's.
	setup(t *Target, p *Params) error
}

// hearer is a host whose answers tell in headers what others tell in the body.
type hearer interface {
	hear(p *Reply, header func(string) string)
}

// classifier is a dialect whose provider's errors are told apart by other words than most.
type classifier interface {
	// classify is what [classify] is for the others.
	classify(status int, f *failure) (apierror.Kind, int)
}

// multiple is a dialect of a provider that wants some calls as several.
type multiple interface {
	// several tells whether calls of a model may have to be several.
	several(model string) bool
	// bodies writes the requests that c is.
	bodies(c *call) ([][]byte, *apierror.Error)
}

// framer is a host whose streams are not server-sent events.
type framer interface {
	// splitter cuts an answer of this media type (lower case, without parameters); nil: it is no stream.
	splitter(media string) framing.Splitter
}
