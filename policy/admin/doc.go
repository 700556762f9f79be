// Package admin is LiteLLM's HTTP API apart from the calls to models: liveness, readiness and health,
// the list of models, the metrics, and a page that says what this is.
//
// A [Server] is an http.Handler that reads the current [Snapshot] for every request, so a reload is seen
// at once. Everything it refuses has OpenAI's error shape, as the client libraries expect it of the same
// base URL. The paths are LiteLLM's (https://docs.litellm.ai/docs/proxy/health,
// https://docs.litellm.ai/docs/proxy/model_access).
//
// It leaves alone calls to models, which never get here, and how a model is asked: a [Prober] does that.
package admin
