package xds

import (
	"fmt"
	"time"

	matchingv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonmatchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	compositev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/composite/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	luav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluicegw/sluice/envoy/names"
)

const longestSilence = time.Hour

// verdictProcessor holds an answer back until sluice has said whether it is used or the next attempt follows.
// Envoy retries nothing once an answer's headers have passed the upstream filters. It keeps what has come of the
// body and shows sluice a copy while the headers wait for their reply; when sluice has closed the stream, it lets
// all of that go in one piece, and the rest pass (docs/adr/0040-held-answers.md says why it must be so).
func verdictProcessor(m Model) *extprocv3.ExternalProcessor {
	p := processor(m, names.FilterVerdict)
	p.ProcessingMode = &mode{
		RequestHeaderMode:   extprocv3.ProcessingMode_SKIP,
		RequestBodyMode:     extprocv3.ProcessingMode_NONE,
		ResponseHeaderMode:  extprocv3.ProcessingMode_SEND,
		ResponseBodyMode:    extprocv3.ProcessingMode_STREAMED,
		RequestTrailerMode:  extprocv3.ProcessingMode_SKIP,
		ResponseTrailerMode: extprocv3.ProcessingMode_SKIP,
	}
	p.SendBodyWithoutWaitingForHeaderResponse = true
	// The answer may be silent for as long as its attempt may last: the limits of the attempt end it. This one
	// stands in the listener, so it does not follow them.
	p.MessageTimeout = durationpb.New(longestSilence)
	p.ResponseAttributes = []string{names.AttrCluster, names.AttrAttempt}
	p.MetadataOptions = &extprocv3.MetadataOptions{
		ForwardingNamespaces: &extprocv3.MetadataOptions_MetadataNamespaces{Untyped: []string{names.NamespaceLane}},
		ReceivingNamespaces:  &extprocv3.MetadataOptions_MetadataNamespaces{Typed: []string{names.NamespacePlan}},
	}
	return p
}

// onWatched runs the filter on every answer of a call that asks for it, and on all answers to model calls that
// have a status of 300 or more (nobody follows a redirect) or that holdWhole doubts. The filter is made when the
// match is found: an answer that is good costs the match.
func onWatched(p *extprocv3.ExternalProcessor) (*commonmatchingv3.ExtensionWithMatcher, error) {
	watched, err := headerIs(names.HeaderWatch, exactly(names.WatchAnswer))
	if err != nil {
		return nil, err
	}
	call, err := headerIs(names.HeaderCall, anything())
	if err != nil {
		return nil, err
	}
	doubted, err := answerHeaderIs(names.HeaderDoubt, anything())
	if err != nil {
		return nil, err
	}
	failed := []*predicate{doubted}
	for _, digit := range []string{"3", "4", "5"} {
		p, err := statusBegins(digit)
		if err != nil {
			return nil, err
		}
		failed = append(failed, p)
	}
	return matched(filterExtProc, p, watched, allOf(call, anyOf(failed...)))
}

// holdWhole keeps an answer until its body is complete. One that is cut in the middle has then failed before the
// client has seen any of it, and the limit of an attempt in time holds for all of it, at the price of some
// instructions of Lua instead of another stream to sluice. What does not look like an answer by its first and last
// bytes (nothing, a page for a browser, half a document, an error) gets that stream, to be judged.
func holdWhole() *luav3.Lua {
	return &luav3.Lua{DefaultSourceCode: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{
		InlineString: fmt.Sprintf(wholeScript, names.HeaderDoubt)}}}
}

// (Of a good answer nothing else is looked at: its headers would cost more than its bytes.)
const wholeScript = `local function good(body)
  local size = body and body:length() or 0
  if size == 0 then return false end
  local head = body:getBytes(0, math.min(size, 512))
  local tail = size <= 512 and head or body:getBytes(size - 8, 8)
  if not head:find("^%%s*[{%%[]") or not tail:find("[}%%]]%%s*$", -8) then return false end
  local at = head:find('"error"', 1, true)
  return not at or head:find('^"error"%%s*:%%s*null', at) ~= nil
end

function envoy_on_response(handle)
  if good(handle:body()) then return end
  local headers = handle:headers()
  if headers:get(":status"):sub(1, 1) == "2" then headers:add("%s", "1") end
end`

func onWhole(l *luav3.Lua) (*commonmatchingv3.ExtensionWithMatcher, error) {
	whole, err := headerIs(names.HeaderWatch, exactly(names.WatchWhole))
	if err != nil {
		return nil, err
	}
	return matched("envoy.filters.http.lua", l, whole)
}

type predicate = matchingv3.Matcher_MatcherList_Predicate

// matched runs the filter where any of the predicates holds, which are tried in order. What a predicate needs
// and is not there yet, an answer's status, has the whole tried again when it is.
func matched(name string, config proto.Message, when ...*predicate) (*commonmatchingv3.ExtensionWithMatcher, error) {
	filter, err := pack(config)
	if err != nil {
		return nil, err
	}
	action, err := xdsExtension("run", &compositev3.ExecuteFilterAction{
		TypedConfig: &corev3.TypedExtensionConfig{Name: name, TypedConfig: filter}})
	if err != nil {
		return nil, err
	}
	composite, err := extension("composite", &compositev3.Composite{})
	if err != nil {
		return nil, err
	}
	list := &matchingv3.Matcher_MatcherList{}
	for _, p := range when {
		list.Matchers = append(list.Matchers, &matchingv3.Matcher_MatcherList_FieldMatcher{Predicate: p,
			OnMatch: &matchingv3.Matcher_OnMatch{OnMatch: &matchingv3.Matcher_OnMatch_Action{Action: action}}})
	}
	return &commonmatchingv3.ExtensionWithMatcher{
		ExtensionConfig: composite,
		XdsMatcher:      &matchingv3.Matcher{MatcherType: &matchingv3.Matcher_MatcherList_{MatcherList: list}},
	}, nil
}

func headerIs(name string, value *matchingv3.StringMatcher) (*predicate, error) {
	return single("header", &envoymatcherv3.HttpRequestHeaderMatchInput{HeaderName: name}, value)
}

func answerHeaderIs(name string, value *matchingv3.StringMatcher) (*predicate, error) {
	return single("header", &envoymatcherv3.HttpResponseHeaderMatchInput{HeaderName: name}, value)
}

func statusBegins(digit string) (*predicate, error) {
	return single("status", &envoymatcherv3.HttpResponseHeaderMatchInput{HeaderName: ":status"},
		&matchingv3.StringMatcher{MatchPattern: &matchingv3.StringMatcher_Prefix{Prefix: digit}})
}

func single(name string, of proto.Message, value *matchingv3.StringMatcher) (*predicate, error) {
	input, err := xdsExtension(name, of)
	if err != nil {
		return nil, err
	}
	return &predicate{MatchType: &matchingv3.Matcher_MatcherList_Predicate_SinglePredicate_{
		SinglePredicate: &matchingv3.Matcher_MatcherList_Predicate_SinglePredicate{Input: input,
			Matcher: &matchingv3.Matcher_MatcherList_Predicate_SinglePredicate_ValueMatch{ValueMatch: value}}}}, nil
}

func exactly(s string) *matchingv3.StringMatcher {
	return &matchingv3.StringMatcher{MatchPattern: &matchingv3.StringMatcher_Exact{Exact: s}}
}

func anything() *matchingv3.StringMatcher {
	return &matchingv3.StringMatcher{MatchPattern: &matchingv3.StringMatcher_SafeRegex{SafeRegex: &matchingv3.RegexMatcher{
		EngineType: &matchingv3.RegexMatcher_GoogleRe2{GoogleRe2: &matchingv3.RegexMatcher_GoogleRE2{}}, Regex: ".+"}}}
}

func not(p *predicate) *predicate {
	return &predicate{MatchType: &matchingv3.Matcher_MatcherList_Predicate_NotMatcher{NotMatcher: p}}
}

func allOf(p ...*predicate) *predicate {
	return &predicate{MatchType: &matchingv3.Matcher_MatcherList_Predicate_AndMatcher{
		AndMatcher: &matchingv3.Matcher_MatcherList_Predicate_PredicateList{Predicate: p}}}
}

func anyOf(p ...*predicate) *predicate {
	return &predicate{MatchType: &matchingv3.Matcher_MatcherList_Predicate_OrMatcher{
		OrMatcher: &matchingv3.Matcher_MatcherList_Predicate_PredicateList{Predicate: p}}}
}
