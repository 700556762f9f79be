package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sluicegw/sluice"
	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/adapters/catalog"
	mediafetch "github.com/sluicegw/sluice/adapters/fetch"
	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/extproc"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/route"
	"github.com/sluicegw/sluice/xds"
)

// assembly is one configuration, ready to be used: what calls take, what Envoy is told, and what a person
// would want to know of each deployment. It is made whole, or not at all.
type assembly struct {
	config      *config.Config
	snapshot    *extproc.Snapshot
	model       xds.Model
	deployments []deploymentState // in the order of the configuration
	warnings    []string
	// longest is the longest limit of any deployment: a plan that goes to several has the longest of theirs,
	// and those with a shorter one need it built in.
	longest time.Duration
	pricers map[string]*catalog.Pricer // by the deployment's id
	fetcher *mediafetch.Fetcher        // of the files that requests name
}

// deploymentState is a deployment as `sluice check`, the banner and /v1/models see it.
type deploymentState struct {
	config *config.Deployment
	target *adapters.Target // nil when it could not be made
	// out says why the deployment gets no call; empty: it is in service.
	out string
	// notBuilt tells that LiteLLM has the provider and sluice does not yet.
	notBuilt bool
}

// surroundings is what an assembly depends on beside the configuration.
type surroundings struct {
	listener   xds.Listener
	maxBody    int64  // bytes; 0: the configuration's, or the default
	demoSocket string // where the built-in demo model listens
	fanout     string // where this process makes several calls of one; "": nowhere
	trustedCA  string
	directory  *keys.Directory // nil: there are no virtual keys
	external   bool            // Envoys that cannot be asked which clusters are warm
}

const (
	defaultMaxBody = 32 << 20
	connectionSize = 256 << 10
	messageTimeout = 2 * time.Minute
	idleTimeout    = 10 * time.Minute
	longestIdle    = time.Hour
	uploadTimeout  = 5 * time.Minute
)

func assemble(c *config.Config, s surroundings) (*assembly, error) {
	a := &assembly{config: c}
	var errs []error
	var err error
	if a.fetcher, err = newFetcher(c); err != nil {
		errs = append(errs, err)
	}
	a.pricers = make(map[string]*catalog.Pricer, len(c.Deployments))
	for i := range c.Deployments {
		a.pricers[c.Deployments[i].ID] = pricer(&c.Deployments[i])
	}
	table, err := route.NewTable(a.routeDeployments(), routeSettings(c))
	if err != nil {
		return nil, err
	}
	a.warnings = append(table.Warnings(), a.unpriced()...)
	a.snapshot = &extproc.Snapshot{
		Table: table,
		Keys: keys.NewRing(keys.Options{
			Master: c.General.MasterKey.Reveal(), Header: c.General.KeyHeader, Directory: s.directory,
			AccessGroups: accessGroups(c), InferProvider: adapters.ProviderOf,
		}),
		Deployments: map[string]*extproc.Deployment{},
		Timeout:     c.Router.Timeout,
		CallTimeout: c.Router.CallTimeout,
		RetryAfter:  c.Router.RetryAfter,
		Windows:     c.Router.PreCallChecks || len(c.Router.ContextWindowFallbacks) > 0,
		Version:     sluice.Version,
		Rates:       rates(c),
		Budgets:     budgets(c),
	}
	a.model = baseModel(c, s)
	for i := range c.Deployments {
		a.longest = max(a.longest, a.limit(&c.Deployments[i]))
	}
	for i := range c.Deployments {
		if err := a.add(&c.Deployments[i], s); err != nil {
			errs = append(errs, err)
		}
	}
	a.groups()
	return a, errors.Join(errs...)
}

// accessGroups are the names that stand for several model groups (model_info.access_groups).
func accessGroups(c *config.Config) map[string][]string {
	out := map[string][]string{}
	for i := range c.Deployments {
		d := &c.Deployments[i]
		for _, name := range d.Info.AccessGroups {
			if !slices.Contains(out[name], d.Group) {
				out[name] = append(out[name], d.Group)
			}
		}
	}
	return out
}

func baseModel(c *config.Config, s surroundings) xds.Model {
	idle := max(idleTimeout, c.Router.StreamTimeout)
	if c.Router.Timeout > 0 && c.Router.Timeout < longestIdle {
		idle = max(idle, c.Router.Timeout)
	}
	return xds.Model{
		Listener: s.listener,
		Limits:   xds.Limits{Body: bodyLimit(c, s.maxBody), Connection: connectionSize},
		Timeouts: xds.Timeouts{Idle: idle, Message: messageTimeout, Upload: uploadTimeout,
			RetryBase: 20 * time.Millisecond, RetryMax: 250 * time.Millisecond},
		TrustedCA:      s.trustedCA,
		WarmWithoutDNS: s.external,
	}
}

// add takes one deployment in. The error is a fault of the configuration; what only keeps the deployment
// out of service is in its state.
func (a *assembly) add(d *config.Deployment, s surroundings) error {
	target, err := a.target(d, s)
	if err != nil && !errors.Is(err, adapters.ErrNotBuilt) {
		return err
	}
	state := deploymentState{config: d, target: target, out: d.Unusable}
	switch {
	case err != nil:
		state.out, state.notBuilt = strings.TrimPrefix(err.Error(), "model: "), true
		a.warnings = append(a.warnings, config.Fault{File: d.File, Line: d.Line, Field: "litellm_params.model",
			Message: d.Name() + " is out of service: " + state.out}.Error())
	case state.out == "" && target.MissingCredential() != "":
		state.out = target.MissingCredential() + " is not set"
	}
	a.deployments = append(a.deployments, state)
	if state.out != "" {
		a.snapshot.Deployments[d.ID] = &extproc.Deployment{ID: d.ID, Group: d.Group, Target: target, Out: state.out}
		return nil
	}
	a.snapshot.Deployments[d.ID] = a.publish(d, target)
	return nil
}

// publish puts the deployment's clusters into the model.
func (a *assembly) publish(d *config.Deployment, target *adapters.Target) *extproc.Deployment {
	e := target.Endpoint()
	c := xds.Cluster{Host: e.Host, Port: uint32(e.Port), Socket: e.Socket, TLS: e.Scheme == "https", HTTP2: e.HTTP2}
	places(&c, d, e)
	out := &extproc.Deployment{ID: d.ID, Group: d.Group, Target: target, APIBase: apiBase(target.Origin()), Prices: a.pricers[d.ID],
		Limits: ownLimits(a.config, d)}
	a.snapshot.CountTokens = a.snapshot.CountTokens || d.TPM > 0
	out.Cluster = a.cluster(d.ID, c)
	if limit := a.limit(d); limit < a.longest {
		c.MaxDuration = limit
		out.Timed = a.cluster(d.ID, c)
	}
	return out
}

// limit is how long one attempt at a deployment may take.
func (a *assembly) limit(d *config.Deployment) time.Duration {
	return cmp.Or(d.Timeout, a.config.Router.Timeout)
}

func (a *assembly) cluster(id string, c xds.Cluster) string {
	c.Name = xds.ClusterName(id, c)
	a.model.Clusters = append(a.model.Clusters, c)
	return c.Name
}

func (a *assembly) routeDeployments() []route.Deployment {
	c := a.config
	out := make([]route.Deployment, 0, len(c.Deployments))
	for i := range c.Deployments {
		d := &c.Deployments[i]
		r := route.Deployment{
			ID: d.ID, Group: d.Group, RPM: float64(d.RPM), TPM: float64(d.TPM),
			Timeout: d.Timeout, StreamTimeout: d.StreamTimeout,
			MaxInputTokens: a.pricers[d.ID].Info().MaxInputTokens,
			NumRetries:     fewer(d.NumRetries), Cooldown: d.Cooldown, AllowedFails: d.AllowedFails, Hidden: d.Hidden,
		}
		r.Tags = d.Tags
		r.InputCost, r.OutputCost, r.Priced = a.routePrices(d)
		if d.Weight != nil {
			r.Weight = *d.Weight
		}
		if d.Order > 0 {
			r.Order = &d.Order
		}
		out = append(out, r)
	}
	return out
}

// mostRetries leaves room in a plan, which has 16 attempts at most, for fallbacks.
const mostRetries = 10

func fewer(n *int) *int {
	if n == nil || *n <= mostRetries {
		return n
	}
	most := mostRetries
	return &most
}

func routeSettings(c *config.Config) route.Settings {
	s := route.DefaultSettings()
	s.Strategy, s.StrategyArgs, s.StrategyByGroup = c.Router.Strategy, c.Router.Args, c.Router.Groups
	s.Affinity, s.TagFiltering, s.TagMatchAny = c.Router.Affinity, c.Router.TagFiltering, c.Router.TagMatchAny
	s.RetryBudget, s.RetryFloor = c.Router.RetryBudget, c.Router.RetryFloor
	s.AllowedFailsByKind = c.Router.AllowedFailsByKind
	s.NumRetries = min(c.Router.NumRetries, mostRetries)
	s.MaxFallbacks = c.Router.MaxFallbacks
	s.Timeout = c.Router.Timeout
	s.StreamTimeout = c.Router.StreamTimeout
	s.Cooldown = c.Router.Cooldown
	if c.Router.DisableCooldowns {
		s.Cooldown = 0
	}
	s.AllowedFails = c.Router.AllowedFails
	s.Fallbacks = c.Router.Fallbacks
	s.ContextFallbacks = c.Router.ContextWindowFallbacks
	s.PolicyFallbacks = c.Router.ContentPolicyFallbacks
	s.RetryPolicy = retryPolicy(c.Router.RetryPolicy)
	s.GroupRetryPolicy = map[string]route.RetryPolicy{}
	for group, classes := range c.Router.GroupRetryPolicy {
		s.GroupRetryPolicy[group] = retryPolicy(classes)
	}
	s.Aliases = map[string]route.Alias{}
	for name, alias := range c.Router.Aliases {
		s.Aliases[name] = route.Alias{Group: alias.Group, Hidden: alias.Hidden}
	}
	s.InferProvider, s.NamesTold = adapters.ProviderOf, true
	return s
}

// ownLimits are what a deployment takes by its own settings.
func ownLimits(c *config.Config, d *config.Deployment) (limits []ratelimit.Limit) {
	scope := ratelimit.Scope{Kind: ratelimit.Deployment, ID: d.ID}
	for _, l := range []ratelimit.Limit{
		{Scope: scope, Unit: ratelimit.Requests, Max: int64(d.RPM)},
		{Scope: scope, Unit: ratelimit.Tokens, Max: int64(d.TPM)},
		{Scope: scope, Unit: ratelimit.Parallel, Max: int64(cmp.Or(d.MaxParallelRequests, c.Router.MaxParallelRequests))},
	} {
		if l.Max > 0 {
			limits = append(limits, l)
		}
	}
	return limits
}

// groups publishes a route for every group: hidden ones too, for a call whose own group is out of service
// begins with a fallback.
func (a *assembly) groups() {
	members := map[string][]xds.Member{}
	for _, d := range a.deployments {
		if d.out == "" {
			own := a.snapshot.Deployments[d.config.ID]
			members[d.config.Group] = append(members[d.config.Group], xds.Member{Cluster: own.Cluster, Weight: share(d.config)})
		}
	}
	for _, group := range a.snapshot.Table.Groups() {
		g := xds.Group{Name: group.Name, Members: members[group.Name]}
		for _, f := range group.Fallbacks {
			g.Fallbacks = append(g.Fallbacks, xds.Fallback{Group: f, Members: members[f]})
		}
		a.model.Groups = append(a.model.Groups, g)
	}
}

// share is a deployment's weight as the route shows it: whole numbers, as Envoy takes them.
func share(d *config.Deployment) uint32 {
	switch {
	case d.Weight != nil:
		return uint32(min(1e6, max(1, *d.Weight)))
	case d.RPM > 0:
		return uint32(min(1e6, d.RPM))
	case d.TPM > 0:
		return uint32(min(1e6, d.TPM))
	}
	return 1
}

// systemRoots is the machine's bundle of root certificates, or the one that SSL_CERT_FILE names.
func systemRoots(getenv func(string) string) (string, error) {
	places := []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
	}
	if named := getenv("SSL_CERT_FILE"); named != "" {
		places = []string{named}
	}
	for _, p := range places {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("no root certificates to verify providers by: none of %v is there; install your system's ca-certificates, or name a file in SSL_CERT_FILE", places)
}

// bodyLimit is the size limit of bodies: the command line's, the configuration's, or the default. It holds
// for the life of the process.
func bodyLimit(c *config.Config, flag int64) int64 {
	if flag > 0 {
		return flag
	}
	if set := max(c.General.MaxRequestBytes, c.General.MaxResponseBytes); set > 0 {
		return set
	}
	return defaultMaxBody
}

// heldBytes is how much all calls' bodies together may take: enough for many large ones, and bounded.
func heldBytes(body int64) int64 { return max(1<<30, 8*body) }
