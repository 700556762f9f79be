// Package envoy runs the Envoy proxy as a child process: it finds the binary, writes its bootstrap,
// starts it, keeps it running, drains it and stops it.
//
// The usual order is [Find], [NewDir], [Bootstrap], [Start], [Supervisor.WaitReady], and at the end
// [Supervisor.Stop]. An Envoy that others run (`--envoy external`) needs [Bootstrap] alone. What Envoy
// serves comes over xDS from elsewhere: this package knows no deployment, route, key or policy.
package envoy
