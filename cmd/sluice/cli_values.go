package main

import (
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sluicegw/sluice/cmd/sluice/config"
)

// finish validates what pflag took as text.
func (o *options) finish(t flagText, f *pflag.FlagSet) error {
	if o.command == "check" && o.url != "" && o.explain == "" {
		return usage("--url needs --explain MODEL: sluice check --explain MODEL --url %s", o.url)
	}
	if o.url != "" && o.explain == "" || o.explain != "" && o.command != "check" {
		return usage("--explain MODEL belongs to `sluice check`, and --url URL to it: sluice check --explain MODEL [--url http://localhost:4000]")
	}
	if o.command == "import" {
		return o.finishImport()
	}
	if o.databaseURL != "" {
		return usage("--database-url is for `sluice import litellm`; a gateway's is general_settings.database_url, or DATABASE_URL")
	}
	if o.config == "" && o.url == "" {
		return usage("there is no configuration: give one with --config FILE, or in CONFIG_FILE_PATH (examples/quickstart.yaml works without any key)")
	}
	port, err := strconv.Atoi(strings.TrimSpace(t.port))
	if err != nil || port < 1 || port > 65535 {
		return usage("--port %s: a port is a number from 1 to 65535", t.port)
	}
	o.port = port
	if o.host == "" || strings.ContainsAny(o.host, "/ ") || strings.Contains(o.host, ":") && net.ParseIP(o.host) == nil {
		return usage("--host %q: give an address such as 127.0.0.1, or 0.0.0.0 for all; the port goes to --port", o.host)
	}
	if (o.certFile == "") != (o.keyFile == "") {
		return usage("TLS needs both --ssl_certfile_path and --ssl_keyfile_path; only one is given")
	}
	switch t.envoy {
	case "managed":
	case "external":
		o.external = true
		if o.runtimeDir == "" && o.control.address == "" {
			return usage("--envoy external needs --runtime-dir DIR, where an Envoy on this machine finds sluice's sockets, or --control-address HOST:PORT for one elsewhere")
		}
	default:
		return usage("--envoy %s: it is managed (sluice runs Envoy) or external (others do)", t.envoy)
	}
	if err := o.control.check(o.external); err != nil {
		return err
	}
	switch t.format {
	case "text", "json":
		o.logJSON = t.format == "json"
	default:
		return usage("--log-format %s: it is text or json", t.format)
	}
	if o.concurrency < 0 || t.workers < 0 || o.concurrency > 1024 || t.workers > 1024 {
		return usage("--concurrency: a number of threads from 1 to 1024; 0 chooses it")
	}
	if !f.Changed("concurrency") {
		o.concurrency = t.workers
	}
	if o.drainTimeout, err = flagDuration("--drain-timeout", t.drain); err != nil {
		return err
	}
	if o.requestTimeout, err = flagDuration("--request_timeout", t.timeout); err != nil {
		return err
	}
	o.maxBody, err = parseSize(t.body)
	return err
}

func flagDuration(flag, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := config.ParseDuration(s)
	if err != nil {
		return 0, usage("%s: %s", flag, err)
	}
	return d.Length(), nil
}

// parseSize reads "32MiB", "32MB", "512k" or "32", which is MiB, as max_request_size_mb is. All units are
// binary.
func parseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	lower := strings.ToLower(strings.TrimSpace(s))
	number := strings.TrimRight(lower, "bikmg")
	shift, ok := map[string]int{"": 20, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20, "g": 30, "gb": 30, "gib": 30}[lower[len(number):]]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(n > 0) || n*float64(int64(1)<<shift) > 4<<30 {
		return 0, usage("--max-body-size %s: write a size such as 32MiB, at most 4GiB", s)
	}
	return int64(n * float64(int64(1)<<shift)), nil
}
