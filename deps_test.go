package sluice_test

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sluicegw/sluice"

// The arrows: cmd → {envoy, xds, extproc} → {policy, adapters} → internal. A layer may import what is
// named here and itself. Layers that are not named (bench, examples …) are programs like cmd.
var mayImport = map[string][]string{
	"":         {"adapters", "internal"},
	"envoy":    {"internal"},
	"xds":      {"envoy/names", "envoy/failure", "policy", "adapters", "internal"},
	"extproc":  {"envoy/names", "envoy/failure", "policy", "adapters", "internal"},
	"policy":   {"internal"},
	"adapters": {"internal"},
	"internal": {},
}

// noProtos are the layers that know neither Envoy's protos nor gRPC, with the reason. (cmd may serve
// gRPC, since it owns the sockets, but speaks no proto.)
var noProtos = map[string]string{
	"":         "the library runs without Envoy",
	"cmd":      "it only wires the packages that know the protos",
	"policy":   "a decision must be testable without a proxy",
	"adapters": "a translation must be testable without a proxy",
	"internal": "leaves are for everybody",
}

// protos are the import prefixes that those layers do without.
var protos = []string{"github.com/envoyproxy/", "github.com/cncf/xds/", "google.golang.org/protobuf", grpc}

const grpc = "google.golang.org/grpc"

// questions are the packages of policy that answer one question each and know no sibling.
var questions = []string{"keys", "team", "budget", "ratelimit", "guardrail", "cache", "ledger", "route"}

// TestArrows checks the imports of every package, tests left out.
func TestArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "-e", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		packages++
		for _, imported := range fields[1:] {
			if why := forbidden(fields[0], imported); why != "" {
				t.Errorf("%s imports %s: %s", fields[0], imported, why)
			}
		}
	}
	if packages < 5 {
		t.Errorf("only %d packages were checked", packages)
	}
}

// forbidden says why importer must not import imported; empty: it may.
func forbidden(importer, imported string) string {
	from := strings.TrimPrefix(strings.TrimPrefix(importer, module), "/")
	layer, _, _ := strings.Cut(from, "/")
	own := imported == module || strings.HasPrefix(imported, module+"/")
	if !own {
		why, bare := noProtos[layer]
		isProto := slices.ContainsFunc(protos, func(p string) bool { return strings.HasPrefix(imported, p) })
		if bare && isProto && (layer != "cmd" || !strings.HasPrefix(imported, grpc)) {
			return why
		}
		return ""
	}
	to := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
	toLayer, _, _ := strings.Cut(to, "/")
	if forTests(to) && !forTests(from) && layer != "bench" {
		return "it is for tests alone"
	}
	allowed, limited := mayImport[layer]
	if limited && toLayer != layer && !slices.Contains(allowed, toLayer) && !slices.Contains(allowed, to) {
		return "imports go cmd → {envoy, xds, extproc} → {policy, adapters} → internal"
	}
	if layer == "policy" && toLayer == "policy" && question(from) != "" && question(to) != "" && question(from) != question(to) {
		return "these answer one question each; what needs both passes values between them"
	}
	return ""
}

// forTests tells packages that only tests, and other such packages, may import.
func forTests(pkg string) bool {
	return slices.ContainsFunc(strings.Split(pkg, "/"), func(part string) bool {
		return strings.HasSuffix(part, "test") || path.Base(part) == "testtools"
	})
}

func question(pkg string) string {
	parts := strings.Split(pkg, "/")
	if len(parts) < 2 || !slices.Contains(questions, parts[1]) {
		return ""
	}
	return parts[1]
}

func TestForbidden(t *testing.T) {
	const envoyProto = "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"/cmd/sluice", module + "/xds", false},
		{"/cmd/sluice", module + "/policy/keys", false},
		{"/cmd/sluice", envoyProto, true},
		{"/cmd/sluice", "google.golang.org/grpc", false},
		{"/xds", envoyProto, false},
		{"/xds", module + "/envoy/names", false},
		{"/xds", module + "/envoy", true},
		{"/xds", module + "/extproc", true},
		{"/extproc", module + "/adapters", false},
		{"/envoy", module + "/policy/route", true},
		{"/policy/keys", module + "/adapters", true},
		{"/policy/keys", module + "/policy/budget", true},
		{"/policy/keys", module + "/policy/store", false},
		{"/policy/keys/sub", module + "/policy/keys", false},
		{"/policy/admin", module + "/policy/keys", false},
		{"/policy/cache", "google.golang.org/grpc", true},
		{"/adapters/openai", module + "/policy/cache", true},
		{"/adapters/openai", module + "/adapters", false},
		{"/adapters", "google.golang.org/grpc/codes", true},
		{"/internal/apierror", module + "/adapters", true},
		{"", module + "/policy/keys", true},
		{"", module + "/adapters", false},
		{"/extproc", module + "/envoy/envoytest", true},
		{"/extproc", module + "/internal/testtools", true},
		{"/policy/store/storetest", module + "/internal/testtools", false},
		{"/bench", module + "/envoy/envoytest/provider", false},
		{"/adapters", "encoding/json", false},
	} {
		if why := forbidden(module+tt.from, tt.to); (why != "") != tt.want {
			t.Errorf("%s imports %s: %q", tt.from, tt.to, why)
		}
	}
}
