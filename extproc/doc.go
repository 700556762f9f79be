// Package extproc holds Envoy's side of every model call: the ext_proc conversation, one call's life
// from its key to its last byte, and the log of failed attempts.
//
// File by file: server.go answers the gRPC streams, call.go is one call's state, admit.go decides what
// happens to a request, request.go and response.go are what Envoy is told about it, retry.go translates
// the attempts after the first, deadline.go ends answers that do not end, attemptlog.go reads the
// per-attempt log. It drives policy and adapters and carries what they must know of each other; it knows
// no provider's JSON, no SQL and no Redis, and configures nothing in Envoy.
package extproc
