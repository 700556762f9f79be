package adapters

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/adapters/fetch"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// Params is what the adapters need to know of a deployment's litellm_params. Values such as
// os.environ/X are already resolved.
type Params struct {
	// Model is provider/name, or a bare name that tells the provider itself: gpt-4o, claude-….
	Model        string
	APIKey       string
	APIBase      string // http(s)://host/path or unix:///path/to/socket; empty: the provider's own
	APIVersion   string
	Organization string
	ExtraHeaders map[string]string
	// Defaults are request fields, sent where the client left them out: temperature, max_tokens, ….
	Defaults map[string]json.RawMessage
	// ExtraBody is an object whose members are added to every request body and win over the client's.
	ExtraBody json.RawMessage
	// DropParams leaves out what the provider does not support, instead of refusing the call.
	DropParams bool
	// AdditionalDropParams are request fields that are never sent.
	AdditionalDropParams []string
	// BaseModel is model_info.base_model: what an Azure deployment's name does not tell.
	BaseModel string
	// Settings are those of particular providers by their names in litellm_params: aws_region_name,
	// vertex_project, tenant_id …. Some are secrets.
	Settings map[string]string
	// Fanout is the path of the Unix socket of a [fanout.Server] in this process. Without one a call that a provider
	// wants as several is refused.
	Fanout string
	// Fetcher gets the files that requests name by URL, for providers that take none; nil: one with the
	// defaults.
	Fetcher *fetch.Fetcher
	// Prices tell what the usage that a stream reports to its client cost; nil: it says nothing of it.
	Prices *catalog.Pricer
}

// Target is one deployment, ready to translate calls for. It is immutable and safe for concurrent use.
type Target struct {
	p        *provider
	model    string // as the provider knows it; may hold a "*"
	key      string
	endpoint Endpoint
	path     string   // of the base URL, without a slash at its end
	query    string   // of the base URL, with its "?"
	secrets  []string // what no error may repeat
	headers  []Header
	defaults jsondoc.Doc
	extra    jsondoc.Doc
	drop     []dropPath
	dropping bool
	version  string
	org      string
	// baseModel is the model behind a deployment whose name does not tell.
	baseModel string
	// bearer or tokens stand for the API key where there is none; missing is the variable of a key that is
	// lacking, whatever the address.
	bearer  string
	tokens  *tokenSource
	missing string
	fetcher *fetch.Fetcher
	prices  *catalog.Pricer
	own     string        // the provider's base URL for this deployment, where it depends on its settings
	aws     *awsTarget    // nil but for deployments on AWS
	vertex  *vertexTarget // nil but for deployments on Vertex AI
	fanout  string        // the socket that calls go by which may be several; "": none
}

// FromEnvironment completes the settings of a provider's deployment (see [Params.Settings]) from the environment
// variables that stand in for them: AWS_REGION_NAME for aws_region_name, and the like.
func FromEnvironment(provider string, settings map[string]string, lookup func(name string) (string, bool)) {
	row := byName(provider)
	if row == nil {
		return
	}
	if s, ok := row.host.(settler); ok {
		s.fromEnvironment(settings, lookup)
	}
}

// ErrNotBuilt is wrapped by the error of [New] for a provider that LiteLLM has and this package does
// not have yet.
var ErrNotBuilt = errors.New("not built yet")

// New checks p and makes a Target of it. The error names the field of litellm_params that is wrong; it
// holds no credential.
func New(p Params) (*Target, error) {
	row, model, err := resolve(p.Model, p.APIBase)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	t := &Target{
		p: row, model: model, key: p.APIKey, dropping: p.DropParams,
		version: p.APIVersion, org: p.Organization, baseModel: p.BaseModel, fetcher: p.Fetcher, prices: p.Prices,
	}
	for _, path := range p.AdditionalDropParams {
		drop, err := parseDropPath(path)
		if err != nil {
			return nil, err
		}
		if drop.guts() {
			return nil, fmt.Errorf("additional_drop_params: %q: a call is made of this; only what describes it can be left out", path)
		}
		t.drop = append(t.drop, drop)
	}
	if s, ok := row.host.(settler); ok {
		if err := s.setup(t, &p); err != nil {
			return nil, err
		}
	}
	if err := t.setBase(p.APIBase); err != nil {
		return nil, fmt.Errorf("api_base: %w", err)
	}
	if m, ok := row.dialect.(multiple); ok && p.Fanout != "" && m.several(model) && t.endpoint.Socket == "" {
		t.fanout = p.Fanout
	}
	if err := headerValue(p.APIKey); err != nil {
		return nil, fmt.Errorf("api_key: %w", err)
	}
	if err := headerValue(p.Organization); err != nil {
		return nil, fmt.Errorf("organization: %w", err)
	}
	if err := t.setHeaders(p.ExtraHeaders); err != nil {
		return nil, err
	}
	if t.defaults, err = defaultsOf(p.Defaults); err != nil {
		return nil, err
	}
	if len(p.ExtraBody) > 0 && string(p.ExtraBody) != "null" {
		if t.extra, err = jsondoc.Parse(slices.Clone([]byte(p.ExtraBody))); err != nil {
			return nil, fmt.Errorf("extra_body: not a valid JSON object: %w", err)
		}
	}
	if t.p.setup != nil {
		if err := t.p.setup(t, &p); err != nil {
			return nil, err
		}
	}
	t.secrets = t.secretsOf()
	return t, nil
}

// defaultsOf makes one document of the request fields in litellm_params. Fields that belong to the
// call, not to the deployment, cannot have a default: a client that asked for no stream gets none.
func defaultsOf(fields map[string]json.RawMessage) (jsondoc.Doc, error) {
	body := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch name {
		case "model", "messages", "prompt", "input", "stream", "extra_body":
			continue
		}
		if len(body) > 1 {
			body = append(body, ',')
		}
		body = append(apierror.AppendString(body, name), ':')
		if !json.Valid(fields[name]) {
			return jsondoc.Doc{}, fmt.Errorf("%s: not valid JSON", name)
		}
		body = append(body, fields[name]...)
	}
	return jsondoc.Parse(append(body, '}'))
}

// Provider is the provider's name in LiteLLM's model strings.
func (t *Target) Provider() string { return t.p.name }

// Model is the model's name as the provider knows it. It holds a "*" for a wildcard deployment, whose
// name comes from the request.
func (t *Target) Model() string { return t.model }

// WithModel is the same deployment with another upstream model: how a fallback to a model that only a
// wildcard deployment serves is pinned.
func (t *Target) WithModel(model string) *Target {
	c := *t
	c.model = strings.TrimPrefix(model, t.p.name+"/")
	return &c
}

// Endpoint is where the deployment's requests are sent: to the provider, or to this process, which makes several
// calls of one.
func (t *Target) Endpoint() Endpoint {
	if t.fanout != "" {
		return Endpoint{Scheme: "http", Socket: t.fanout}
	}
	return t.endpoint
}

// Origin is where the provider is reached.
func (t *Target) Origin() Endpoint { return t.endpoint }

// MissingCredential is the environment variable that would hold the API key this deployment lacks, or
// "" if it lacks none. Self-hosted endpoints need no key.
func (t *Target) MissingCredential() string {
	if t.missing != "" {
		return t.missing
	}
	if t.key != "" || t.p.keyless || !t.endpoint.Public || t.hasHeader("authorization") || t.hasHeader("x-api-key") {
		return ""
	}
	return t.p.env[0]
}

// Supports tells whether this deployment can carry the request; the error, for the client, says why
// not. A plan should hold only attempts that can.
func (t *Target) Supports(r *Request) *apierror.Error {
	_, err := t.begin(r)
	if err == nil && t.tokens != nil {
		_, err = t.tokens.token() // without credentials it could not, and another deployment may
	}
	return err
}

// begin is the call as the dialect will write it.
func (t *Target) begin(r *Request) (call, *apierror.Error) {
	d, text := t.p.dialect, false
	switch {
	case t.carries(r.op) && !t.onlyChats(r):
	case r.op == Completion && d.carries(Chat):
		chat, err := asChat(r)
		if err != nil {
			return call{}, err
		}
		r, text = chat, true
	default:
		return call{}, refused("model", "Provider %s has no API for %s requests.", t.p.name, r.op)
	}
	c := newCall(t, r)
	c.text = text
	return c, d.supports(&c)
}

// carries tells whether the provider has an operation. Among those with OpenAI's format, only the quirks
// tell who reranks.
func (t *Target) carries(op Op) bool {
	if _, plain := t.p.dialect.(openAI); plain && op == Rerank {
		return t.p.quirks.rerank != ""
	}
	return t.p.dialect.carries(op)
}

// onlyChats tells whether a completion has to be asked for as a chat, although the provider has
// completions.
func (t *Target) onlyChats(r *Request) bool {
	chats := t.p.quirks.chats
	return r.op == Completion && chats != nil && chats(t.upstream(r.model))
}

// Request translates the request. It never edits r and may be called concurrently, once an attempt.
func (t *Target) Request(r *Request) (*Outgoing, *apierror.Error) {
	c, err := t.begin(r)
	if err != nil {
		return nil, err
	}
	if t.fanout != "" {
		return t.several(&c)
	}
	body, err := t.p.dialect.body(&c)
	if err != nil {
		return nil, err
	}
	out := &Outgoing{Method: "POST", Authority: t.authority(), Body: body}
	if err := t.p.host.address(&c, out); err != nil {
		return nil, err
	}
	return out, nil
}

// String tells a deployment apart without telling its credentials.
func (t *Target) String() string { return t.p.name + "/" + t.model }

// GoString is [Target.String]: %#v must not print credentials either.
func (t *Target) GoString() string { return t.String() }

// Outgoing is the HTTP request of one attempt.
type Outgoing struct {
	Method    string
	Path      string // with its query
	Authority string
	// Headers have lower-case names, each name once, without content-length.
	Headers []Header
	Body    []byte
}

// Header is one header field.
type Header struct{ Name, Value string }

// String is the field as a log may show it: without the value of what could be a credential.
func (h Header) String() string {
	switch h.Name {
	case "content-type", "accept", "anthropic-version", "anthropic-beta":
		return h.Name + ": " + h.Value
	}
	return h.Name + ": ***"
}

// GoString is [Header.String].
func (h Header) GoString() string { return h.String() }
