// Package xds turns a plain model of what Envoy shall do into Envoy's resources, and serves them by ADS.
//
// The pipeline is the layout: [Model] → pure constructors (listener.go, routes.go, clusters.go,
// extproc.go, localreply.go) → [Build] → [Server]. It follows the table of settings in
// docs/adr/0001-envoy-settings.md; every constructor names the page of Envoy's documentation that its
// choice rests on. It knows deployments as endpoints only: no keys, no prices, no bodies, no policy.
package xds
