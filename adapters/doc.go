// Package adapters translates one call between OpenAI's API and a provider's.
//
// [Parse] validates what a client sent; [New] makes a [Target] of one deployment's settings; the Target
// turns a [Request] into the provider's HTTP request and its [Reply] turns the provider's answer, whole
// or streamed, back into OpenAI's. Three things make a provider: a dialect (its JSON), a host (URL,
// credentials, framing) and quirks (data), put together in one row of compatible.json, where that can say
// it all, or of the table in providers.go. What
// every reply has in common (framing, [DONE], usage on request, size limits, error bodies) is done once,
// around the dialects.
//
// It knows nothing of gRPC, Envoy, keys or money: which deployment is asked, when to try another and
// what a call costs are decided elsewhere.
package adapters
