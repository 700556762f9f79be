// Package names holds what Envoy's configuration and the ext_proc server must spell alike: it is all
// that packages envoy, xds and extproc share.
//
// It knows no values that depend on a user's configuration; those travel in the xDS model and in the
// calls themselves.
package names

import (
	"net/url"
	"strings"
)

// Clusters that the bootstrap defines, because they lead to sluice itself.
const (
	ClusterXDS     = "sluice_xds"      // ADS
	ClusterExtProc = "sluice_ext_proc" // the external processor
	ClusterALS     = "sluice_als"      // the per-attempt access log
	ClusterAPI     = "sluice_api"      // the admin and health HTTP API
)

// Resources that xDS publishes beside the deployments' clusters.
const (
	Listener    = "sluice"
	RouteConfig = "sluice"
	VirtualHost = "sluice"
	// ClusterDeadEnd has no endpoint: what a call without a valid plan meets.
	ClusterDeadEnd = "sluice_dead_end"
	// RefusingHost and RefusingPort are an address that refuses. It stands in for a name without addresses.
	RefusingHost, RefusingPort = "127.0.0.1", 1
	// SecretListener is the certificate of the listener.
	SecretListener = "sluice_listener"
	// StatPrefix is the HTTP connection manager's: its gauges tell how many calls are under way.
	StatPrefix = "sluice"
	// AttemptLog is the log_name of the per-attempt access log.
	AttemptLog = "sluice_attempts"
)

// Dynamic metadata by which the processor steers a call once its body is known.
const (
	// NamespaceLane holds a struct {group: <model group>}; the route is matched on it.
	NamespaceLane = "sluice"
	// KeyGroup is the member of NamespaceLane that names the model group.
	KeyGroup = "group"
	// KeyCall is the member that holds the call's id, for filters that see answers only.
	KeyCall = "call"
	// NamespacePlan holds the PriorityGroupsOverride that the route's cluster specifier follows.
	NamespacePlan = "sluice.plan"
)

// Headers inside the hop between the processor and Envoy. Clients cannot send them: the listener
// removes x-envoy-*, x-sluice-* and x-request-id before anything else looks at a request.
const (
	// HeaderCall carries the call's id, minted by sluice, to the upstream filters and to the log.
	HeaderCall = "x-request-id"
	// HeaderGroup indexes the route table; the metadata under NamespaceLane decides.
	HeaderGroup = "x-sluice-group"
	// HeaderProto is set by Envoy; its route table wants it.
	HeaderProto = "x-forwarded-proto"
	// HeaderAttempt is Envoy's count of attempts, from 1.
	HeaderAttempt = "x-envoy-attempt-count"
	// HeaderWatch says which answers of an attempt are held back until sluice has judged them, beside those of
	// a status of 300 or more: WatchAnswer, WatchWhole, or none without it.
	HeaderWatch = "x-sluice-watch"
	// HeaderLength is the length of a body that a filter of the attempt has put in the place of another: Envoy
	// takes content-length away there, and not every provider takes a body in chunks.
	HeaderLength = "x-sluice-length"
	// HeaderDoubt is set on whole answers whose first or last bytes are not those of a good one: sluice judges them.
	HeaderDoubt = "x-sluice-doubt"
	// HeaderVerdict is set on answers that are not to be used: Envoy goes on to the next attempt.
	HeaderVerdict = "x-sluice-verdict"
)

// Values of HeaderWatch.
const (
	WatchAnswer = "answer" // sluice judges it: all of a whole answer, the first event of a stream
	WatchWhole  = "whole"  // Envoy itself holds it until it is whole, so that the attempt's timeout holds to its end
)

// MetadataFilter is the gRPC initial metadata that tells which filter opened an ext_proc stream.
const (
	MetadataFilter = "x-sluice-filter"
	FilterRouter   = "router"
	FilterUpstream = "upstream"
	FilterVerdict  = "verdict"
)

// Attributes that Envoy sends with the first message of each direction
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/advanced/attributes).
const (
	AttrCluster     = "xds.cluster_name"
	AttrAttempt     = "upstream.request_attempt_count"
	AttrFlags       = "response.flags"
	AttrCodeDetails = "response.code_details"
	// AttrFilter is the key under which ext_proc sends its attributes.
	AttrFilter = "envoy.filters.http.ext_proc"
)

// GroupKey is a model group's name as a header can carry it: names may hold any characters.
func GroupKey(group string) string { return url.PathEscape(group) }

// StreamKey is the key of the same group for answers that are streamed, to requests of at most StreamBody
// bytes. Envoy has one buffer limit for both directions of a call: this route has a small one, so that a slow
// reader of a fast stream holds little, where the other has room for the largest body.
func StreamKey(group string) string { return GroupKey(group) + "!stream" }

// StreamBody is the buffer limit of a streamed call, in bytes.
const StreamBody = 256 << 10

// HeaderHelper is where OpenAI's libraries name the helper that makes a call.
const HeaderHelper = "x-stainless-helper-method"

// ClientHeaders are the request headers that sluice reads; no other header of a client gets past the
// first filter on a model path.
var ClientHeaders = []string{
	"x-litellm-api-key",
	"authorization",
	"api-key",
	"x-api-key",
	"x-goog-api-key",
	"ocp-apim-subscription-key",
	"x-litellm-call-id",
	"x-litellm-num-retries",
	"x-litellm-timeout",
	"x-litellm-stream-timeout",
	"x-litellm-tags",
	"x-litellm-session-id",
	"x-litellm-trace-id",
	"x-litellm-customer-id",
	HeaderHelper,
}

// Cluster is the name of a deployment's cluster: its id and a hash of what it is made from.
func Cluster(id, hash string) string { return id + "." + hash }

// DeploymentOf is the id of the deployment whose cluster has that name; false for sluice's own clusters.
func DeploymentOf(cluster string) (id string, ok bool) {
	i := strings.LastIndexByte(cluster, '.')
	if i <= 0 {
		return "", false
	}
	return cluster[:i], true
}
