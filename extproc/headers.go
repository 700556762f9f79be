package extproc

import (
	"strings"

	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/extproc/wire"
)

// pathOf is a request's path without its query.
func pathOf(h wire.Headers) string {
	path, _, _ := strings.Cut(h.Get(":path"), "?")
	return path
}

// dropOthers removes what is in the request's headers and not among those that are set: a client's key, or
// the credentials of the attempt before.
func dropOthers(r *wire.Reply, old wire.Headers) {
	for i := range old {
		if name := old[i].Name; !keptBetweenAttempts(name) && !r.Sets(name) {
			r.Remove = append(r.Remove, name)
		}
	}
}

func keptBetweenAttempts(name string) bool {
	switch name {
	case names.HeaderCall, names.HeaderGroup, names.HeaderProto, "host", "transfer-encoding", "user-agent":
		return true
	}
	return name == "" || name[0] == ':' || strings.HasPrefix(name, "x-envoy-")
}

// hopHeader tells which of a provider's headers frame the answer; they are set anew or are Envoy's.
func hopHeader(name string) bool {
	switch name {
	case "", "content-length", "content-type", "transfer-encoding", "connection", "date", "server", "cache-control":
		return true
	}
	return name[0] == ':'
}

// gatewayHeader tells which headers are a gateway's to send: a provider's own of these names are another
// gateway's, or forged. Envoy removes before it sets, so that what sluice sets stays.
func gatewayHeader(name string) bool {
	return strings.HasPrefix(name, "x-envoy-") || strings.HasPrefix(name, "x-litellm-") || strings.HasPrefix(name, "x-sluice-")
}
