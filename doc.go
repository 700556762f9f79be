// Package sluice is the gateway as a Go library: completions, streams, embeddings and images through any
// provider, in OpenAI's shapes.
//
// It runs no Envoy and holds no keys, budgets or limits: those belong to the gateway, cmd/sluice.
package sluice

// Version is the release, as `git describe` names it; set by the linker (see the Makefile).
var Version = "dev"
