package xds

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	headermutationv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sluicegw/sluice/envoy/names"
)

// clientOnly are headers that no client may send: they steer Envoy, or are sluice's own. They go before
// any route is chosen.
func clientOnly() []*mutationv3.HeaderMutation {
	return []*mutationv3.HeaderMutation{
		removeMatching(&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "x-envoy-"}}),
		removeMatching(&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "x-sluice-"}}),
		removeNamed(names.HeaderCall),
	}
}

// allowList keeps, of a client's headers on a model path, those that sluice reads and those that frame
// the body. All else (cookies, traces, forwarded addresses, other keys) ends here, in Envoy, so that it
// need not travel to the processor to be removed.
func allowList() *headermutationv3.HeaderMutation {
	// Without x-forwarded-proto, which Envoy sets itself, it finds no route.
	keep := append([]string{"content-type", "content-length", "transfer-encoding", "host", names.HeaderProto}, names.ClientHeaders...)
	return mutation(removeMatching(&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{
		SafeRegex: &matcherv3.RegexMatcher{Regex: noneOf(keep)}}}))
}

// between removes what is between Envoy and sluice: from requests, and from answers, where a provider has no
// business to send it.
func between() *headermutationv3.HeaderMutation {
	out := mutation(lengthOfBody())
	for _, name := range []string{names.HeaderAttempt, names.HeaderGroup, names.HeaderProto, names.HeaderWatch, names.HeaderLength} {
		out.Mutations.RequestMutations = append(out.Mutations.RequestMutations, removeNamed(name))
	}
	out.Mutations.ResponseMutations = []*mutationv3.HeaderMutation{removeNamed(names.HeaderVerdict), removeNamed(names.HeaderDoubt)}
	return out
}

// lengthOfBody gives a request the length of its body where Envoy took it away with the client's.
func lengthOfBody() *mutationv3.HeaderMutation {
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Append{Append: &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: "content-length", Value: "%REQ(" + names.HeaderLength + ")%"},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}}}
}

func mutation(all ...*mutationv3.HeaderMutation) *headermutationv3.HeaderMutation {
	return &headermutationv3.HeaderMutation{Mutations: &headermutationv3.Mutations{RequestMutations: all}}
}

func removeNamed(name string) *mutationv3.HeaderMutation {
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Remove{Remove: name}}
}

func removeMatching(m *matcherv3.StringMatcher) *mutationv3.HeaderMutation {
	return &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_RemoveOnMatch_{
		RemoveOnMatch: &mutationv3.HeaderMutation_RemoveOnMatch{KeyMatcher: m}}}
}

// noneOf is a regular expression that matches every string that is not empty, does not begin with ":"
// and is none of words. Envoy's header filter removes what matches and RE2 has no negation, so the
// complement is spelled out along the words' prefix tree: at each node, either stop where no word ends,
// or leave the tree by a letter that no word has there, or go on along one that some word has.
func noneOf(words []string) string {
	return "^(?:" + beside(words, true) + ")$"
}

func beside(words []string, root bool) string {
	next := map[byte][]string{}
	ends := false
	for _, w := range words {
		if w == "" {
			ends = true
			continue
		}
		next[w[0]] = append(next[w[0]], w[1:])
	}
	letters := slices.Sorted(maps.Keys(next))
	var known strings.Builder
	if root {
		known.WriteString(":") // pseudo-headers stay
	}
	for _, c := range letters {
		known.WriteString(regexp.QuoteMeta(string(c)))
	}
	var branches []string
	if !ends && !root {
		branches = append(branches, "")
	}
	if known.Len() == 0 {
		branches = append(branches, ".+")
	} else {
		branches = append(branches, "[^"+strings.ReplaceAll(known.String(), "-", `\-`)+"].*")
	}
	for _, c := range letters {
		branches = append(branches, regexp.QuoteMeta(string(c))+"(?:"+beside(next[c], false)+")")
	}
	return strings.Join(branches, "|")
}
