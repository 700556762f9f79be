// Package e2e tests the whole gateway: the real binary and the real Envoy in front of scripted providers.
//
// Its tests send what hostile clients, broken providers and official SDKs send, and look at what comes
// back, what reached the providers, and what was written to logs and metrics. One running gateway serves
// nearly all of them: each takes model groups of its own from a pool, so that no test's failures cool
// down another's deployments. Starting, stopping and reloading are tested beside cmd/sluice, translations
// beside adapters; this package leaves both alone.
package e2e
