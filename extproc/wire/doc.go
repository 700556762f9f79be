// Package wire is the ext_proc protocol as sluice speaks it: the messages that Envoy sends, read into plain
// values, and the replies, written from plain values.
//
// It stands on the path of every call, four messages a call and one more an event, so it encodes by hand
// what generated code would build as some sixty small objects: a message costs two allocations, a body is
// never copied on its way out. Its tests hold it against the generated code of
// https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/ext_proc/v3/external_processor.proto.
// It knows field numbers, not what a call is.
package wire
