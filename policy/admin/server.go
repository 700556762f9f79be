package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/keys"
)

// Authenticator finds the key of a token; [keys.Keyring] is one.
type Authenticator interface {
	Authenticate(token string) (*keys.Key, *apierror.Error)
	Token(header func(name string) string) string // of a request; empty: there is none
	Route(k *keys.Key, path string) *apierror.Error
	Allows(k *keys.Key, model string) bool
	Open() bool // no keys are configured: everybody may do everything
}

// Deployment is a deployment as this API shows it. It must hold no secrets.
type Deployment struct {
	ID       string
	Group    string // the model name that clients ask for
	Model    string // provider and model: "openai/gpt-4o"
	Provider string
	APIBase  string // shown to admins only
	OwnedBy  string // in the list of models; empty: "openai", as LiteLLM says of all
	Hidden   bool   // its group is not listed: it was made for a fallback entry
	Unusable string // why it takes no calls, such as a missing key; empty: it does

	Stored, Blocked bool            // it was made at run time; an admin has blocked it
	Params, Info    json.RawMessage // litellm_params without secrets, model_info; nil: there are none
	Known           map[string]any  // of the model, by LiteLLM's names: prices, limits, abilities
	RPM, TPM        int             // 0: no limit
}

// Snapshot is the configuration in use. It is not changed after it was given.
type Snapshot struct {
	Keys        Authenticator
	Deployments []Deployment
	Aliases     map[string]string // listed names beside the groups', and the group of each
	// Resolve is the group that serves a name, which may be a wildcard's; nil: nothing is known of wildcards.
	Resolve func(model string) (group string, ok bool)
	// MetricsNeedKey closes /metrics to requests without a key.
	MetricsNeedKey bool
	// IsMaster tells the master key from others; nil: there is none.
	IsMaster func(token string) bool
	// UserBudget, in US dollars, and UserBudgetDuration are the budget of internal users that are given none; nil and
	// empty: none.
	UserBudget         *float64
	UserBudgetDuration string
}

// serves tells whether there is a model group of a name.
func (s *Snapshot) serves(model string) bool {
	if _, ok := s.Aliases[model]; ok {
		return true
	}
	return slices.ContainsFunc(s.Deployments, func(d Deployment) bool { return d.Group == model })
}

// State is what the process is ready for.
type State int

// The states, in their order.
const (
	Starting State = iota // the first configuration is not in effect yet
	Ready
	Draining // it finishes what it has and wants no more
)

// Seen is what calls showed of a deployment.
type Seen struct {
	Healthy bool
	At      time.Time // of the last attempt; zero: none yet
	Out     string    // why it gets no calls at this moment; empty: it does
	Until   time.Time // of Out; zero: until one call has tried it
}

// Prober asks a deployment's model something small. It returns what went wrong, in words for a person and
// without secrets. It ends when ctx does.
type Prober interface {
	Probe(ctx context.Context, deploymentID string) error
}

// Options are what a Server works with. Snapshot is required; functions are called for every request, from
// many goroutines.
type Options struct {
	Snapshot func() *Snapshot                       // nil: there is none yet
	State    func() (State, string)                 // and, while Starting, what it waits for
	Seen     func(deploymentID string) (Seen, bool) // false: no such deployment is known
	Prober   Prober                                 // nil: GET /health tells what was seen
	Metrics  http.Handler                           // nil: GET /metrics is 404
	Tokens   TokenCounter                           // nil: POST /utils/token_counter is 404
	Database func(context.Context) (string, bool)   // readiness' "db", and whether it is fit; nil: "Not connected"
	Spending *Spending                              // nil: nothing is known of spend
	Storage  *Storage                               // nil: the admin API has nothing to work with
	Version  string
	Log      *slog.Logger
	// Standings are the deployments as they stand and the newest events, newest first; Explain is what a call
	// to a model would try, as text; an *apierror.Error of it is the answer. nil: their paths are 404.
	Standings func() ([]Standing, []HealthEvent)
	Explain   func(model string) ([]byte, error)

	ProbeTimeout     time.Duration // for one deployment; 0: 60 s, as LiteLLM
	ProbeConcurrency int           // deployments asked at once, over all requests; 0: 8
}

const (
	maxBody         = 1 << 20
	maxHeader       = 64 << 10
	defaultTimeout  = 60 * time.Second
	defaultParallel = 8
)

// Server is the API. Make it with New.
type Server struct {
	o        Options
	routes   map[string]map[string]handler // path → method → handler
	patterns []pattern
	http     *http.Server
	probes   chan struct{}
	exports  chan struct{}
}

// handler answers a request; what it returns is rendered in OpenAI's shape.
type handler func(http.ResponseWriter, *http.Request) *apierror.Error

// New makes a server.
func New(o Options) *Server {
	o.ProbeTimeout = cmp.Or(o.ProbeTimeout, defaultTimeout)
	o.ProbeConcurrency = cmp.Or(o.ProbeConcurrency, defaultParallel)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.State == nil {
		o.State = func() (State, string) { return Ready, "" }
	}
	if o.Seen == nil {
		o.Seen = func(string) (Seen, bool) { return Seen{}, false }
	}
	s := &Server{o: o, probes: make(chan struct{}, o.ProbeConcurrency), exports: make(chan struct{}, mostExports)}
	get := func(h handler) map[string]handler { return map[string]handler{http.MethodGet: h} }
	s.routes = map[string]map[string]handler{
		"/":                   get(s.root),
		"/health":             get(s.health),
		"/health/liveliness":  get(s.liveness), // LiteLLM's spelling
		"/health/liveness":    get(s.liveness),
		"/health/readiness":   get(s.readiness),
		"/v1/models":          get(s.models),
		"/models":             get(s.models),
		"/v1/models/{model…}": get(s.model),
		"/models/{model…}":    get(s.model),
	}
	for _, path := range modelPaths {
		s.routes[path] = map[string]handler{http.MethodPost: slashed}
		s.routes["/v1"+path] = s.routes[path]
	}
	s.addManaged(managed)
	if o.Tokens != nil {
		s.routes["/utils/token_counter"] = map[string]handler{http.MethodPost: s.countTokens}
	}
	s.routes["/v2/rerank"] = s.routes["/rerank"]
	if o.Standings != nil && o.Explain != nil {
		s.routes["/health/events"], s.routes["/health/explain"] = get(s.healthEvents), get(s.explain)
	}
	if o.Metrics != nil {
		s.routes["/metrics"] = get(s.metrics)
	}
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       5 * time.Minute, // above Envoy's for its side of the connection
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	return s
}

// Serve answers on l until Shutdown; it always returns an error, http.ErrServerClosed after Shutdown.
func (s *Server) Serve(l net.Listener) error { return s.http.Serve(l) }

// Shutdown stops Serve and waits for requests under way, at most until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.recover(w, r)
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	w.Header().Set("x-content-type-options", "nosniff")
	if s.o.Version != "" {
		w.Header().Set("x-litellm-version", s.o.Version)
	}
	if err := s.serve(w, r); err != nil {
		fail(w, err)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) *apierror.Error {
	methods := s.match(r)
	if methods == nil {
		return notFound(r.URL.Path)
	}
	method := r.Method
	if method == http.MethodHead { // net/http leaves out the body
		method = http.MethodGet
	}
	if h := methods[method]; h != nil {
		return h(w, r)
	}
	use, allow := http.MethodGet, "GET, HEAD, OPTIONS"
	if methods[http.MethodPost] != nil {
		use, allow = http.MethodPost, "POST, OPTIONS"
	}
	w.Header().Set("allow", allow)
	if r.Method == http.MethodOptions { // LiteLLM answers it for probes that ask first
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return apierror.New(apierror.BadRequest, http.StatusMethodNotAllowed,
		"%s is not a method of %s: use %s.", printable(r.Method), printable(r.URL.Path), use)
}

// modelPaths are those of model calls, each also under /v1. Envoy takes POSTs to them elsewhere: what comes
// here has another method, or another path but for its last slash.
var modelPaths = [...]string{"/chat/completions", "/completions", "/embeddings", "/rerank"}

func slashed(_ http.ResponseWriter, r *http.Request) *apierror.Error {
	return apierror.New(apierror.NotFound, http.StatusNotFound, "there is no %s here; the path is %s, without a slash at its end.",
		printable(r.URL.Path), printable(strings.TrimSuffix(r.URL.Path, "/")))
}

// match finds the methods of a path and sets the path value of a model's name, which may hold slashes.
func (s *Server) match(r *http.Request) map[string]handler {
	path := r.URL.Path
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	if methods := s.routes[path]; methods != nil && !strings.HasSuffix(path, "…}") {
		return methods
	}
	for _, prefix := range [...]string{"/v1/models/", "/models/"} {
		if name, ok := strings.CutPrefix(path, prefix); ok && name != "" {
			r.SetPathValue("model", name)
			return s.routes[prefix+"{model…}"]
		}
	}
	return s.matchPattern(r, path)
}

// recover turns a panic into the answer that a client library understands.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil || v == http.ErrAbortHandler {
		if v != nil {
			panic(v)
		}
		return
	}
	s.o.Log.Error("an admin request failed by a fault in sluice", "method", r.Method, "path", printable(r.URL.Path),
		"panic", v, "stack", string(debug.Stack()))
	fail(w, apierror.New(apierror.Internal, http.StatusInternalServerError,
		"sluice failed to answer %s: this is a fault in sluice, and its log says more.", printable(r.URL.Path)))
}

// authenticate finds the caller's key.
func (s *Server) authenticate(r *http.Request) (*Snapshot, *keys.Key, *apierror.Error) {
	snap := s.o.Snapshot()
	if snap == nil {
		e := apierror.New(apierror.Overloaded, http.StatusServiceUnavailable, "sluice is starting: its configuration is not in effect yet.")
		e.RetryAfter = time.Second
		return nil, nil, e
	}
	key, err := snap.Keys.Authenticate(snap.Keys.Token(r.Header.Get))
	if err == nil {
		err = snap.Keys.Route(key, r.URL.Path)
	}
	return snap, key, err
}
