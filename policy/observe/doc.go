// Package observe turns what happened to calls into Prometheus metrics: LiteLLM's names and labels
// (https://docs.litellm.ai/docs/proxy/prometheus), so that its dashboards go on working, and sluice's own.
//
// [Metrics.Publish] tells which deployments and model names exist; then [Metrics.Call] and
// [Metrics.Attempt] take one record per call and attempt. A label value comes from what was published or
// from an authenticated key, never from what a client wrote: other names become "other". The number of
// series is bounded, and those of deployments that are gone go with them.
//
// It leaves alone what a call costs and how healthy a deployment is: it is told, it decides nothing.
package observe
