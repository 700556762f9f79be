package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/sluicegw/sluice"
)

// banner tells a person where the first request goes.
func (r *instance) banner(w io.Writer, a *assembly) {
	if r.options.logJSON || a.config.Settings.JSONLogs { // a machine reads along
		r.log.Info("serving", "version", sluice.Version, "address", r.around.listener.Address, "port", r.options.port, "deployments", a.summary())
		return
	}
	scheme := "http"
	insecure := ""
	if r.around.listener.TLS {
		scheme, insecure = "https", " --insecure"
	}
	host := r.around.listener.Address
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	url := fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, fmt.Sprint(r.options.port)))
	var b strings.Builder
	fmt.Fprintf(&b, "\nsluice %s serves OpenAI's API on %s/v1\n\n", sluice.Version, url)
	var first string
	for _, group := range a.config.Groups() {
		state, usable := a.groupState(group)
		fmt.Fprintf(&b, "  %-24s %s\n", group, state)
		if usable && (first == "" || strings.HasPrefix(state, "demo/")) && !strings.Contains(group, "*") {
			first = group
		}
	}
	if first != "" {
		key := ""
		if !a.snapshot.Keys.Open() {
			name := "sk-..." // the master key is in the configuration alone, and not to be shown
			if os.Getenv("LITELLM_MASTER_KEY") == a.config.General.MasterKey.Reveal() {
				name = "$LITELLM_MASTER_KEY"
			}
			key = " \\\n    -H \"Authorization: Bearer " + name + "\""
		}
		fmt.Fprintf(&b, "\nTry it:\n\n  curl%s %s/v1/chat/completions%s \\\n    -H 'Content-Type: application/json' \\\n    -d '{\"model\": \"%s\", \"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}'\n\n", insecure, url, key, first)
	}
	fmt.Fprint(w, b.String())
}

// groupState is one group in a line: what stands behind it, or why nothing does.
func (a *assembly) groupState(group string) (state string, usable bool) {
	var ready, out []string
	for _, d := range a.deployments {
		switch {
		case d.config.Group != group:
		case d.out == "":
			ready = append(ready, d.config.Model)
		default:
			out = append(out, d.config.Model+": "+d.out)
		}
	}
	if len(ready) == 0 {
		return "out of service (" + strings.Join(out, "; ") + ")", false
	}
	return strings.Join(ready, ", "), true
}

func loopback(address string) bool {
	ip := net.ParseIP(address)
	return ip != nil && ip.IsLoopback()
}
