package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func TestParseFlags(t *testing.T) {
	o, err := parseFlagsIn(strings.Fields("-c c.yaml --port 8080 --host 127.0.0.1 --ssl_certfile_path a --ssl-keyfile-path b "+
		"--num_workers 3 --request_timeout 90 --drop_params --detailed_debug --log-format json --drain_timeout 2m --max-body-size 64MiB "+
		"--run_gunicorn --keepalive_timeout 5"), env("PORT", "1", "DEBUG", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if o.command != "run" || o.config != "c.yaml" || o.port != 8080 || o.host != "127.0.0.1" || o.certFile != "a" || o.keyFile != "b" ||
		o.concurrency != 3 || o.requestTimeout != 90*time.Second || !o.dropParams || !o.detailedDebug || !o.logJSON ||
		o.drainTimeout != 2*time.Minute || o.maxBody != 64<<20 || o.external {
		t.Errorf("%+v", o)
	}
	if len(o.notices) != 3 || !strings.Contains(o.notices[1], "--run-gunicorn has no meaning here: Envoy serves; remove it") {
		t.Errorf("notices: %q", o.notices)
	}
}

func TestDefaultsAndTwins(t *testing.T) {
	o, err := parseFlagsIn(nil, env("CONFIG_FILE_PATH", "x.yaml", "PORT", "9", "HOST", "::1", "NUM_WORKERS", "2", "DEBUG", "true"))
	if err != nil {
		t.Fatal(err)
	}
	if o.config != "x.yaml" || o.port != 9 || o.host != "::1" || o.concurrency != 2 || !o.debug || o.drainTimeout != 30*time.Second || o.maxBody != 0 {
		t.Errorf("%+v", o)
	}
}

func TestCommands(t *testing.T) {
	for line, want := range map[string]string{
		"check -c x": "check", "check x.yaml": "check", "--validate_config -c x": "check", "version": "version", "-v": "version",
		"--help": "help", "help": "help", "help check": "help", "run -c x": "run", "-c x run": "run", "--version --model x": "version",
	} {
		if o, err := parseFlagsIn(strings.Fields(line), env()); err != nil || o.command != want {
			t.Errorf("%q: %q, %v; want %s", line, o.command, err, want)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                               "examples/quickstart.yaml",
		"-c x --prot 1":                  "did you mean --port?",
		"-c x --port 0":                  "1 to 65535",
		"-c x --port x":                  "1 to 65535",
		"-c x --host localhost:4000":     "--port",
		"-c x --ssl_keyfile_path k":      "both",
		"-c x --envoy docker":            "managed",
		"-c x --envoy external":          "--runtime-dir",
		"-c x --log-format xml":          "text or json",
		"-c x --drain-timeout soon":      "--drain-timeout",
		"-c x --max-body-size huge":      "32MiB",
		"-c x --max-body-size -1":        "32MiB",
		"-c x --max-body-size 9999GB":    "4GiB",
		"-c x --concurrency -1":          "threads",
		"-c x --model gpt-4o":            "model_list",
		"-c x --max_budget 10":           "litellm_settings.max_budget",
		"-c x --health":                  "GET /health",
		"chek -c x":                      "did you mean check?",
		"config.yaml":                    "sluice --config config.yaml",
		"check a b":                      "too many",
		"-c x --nothing-like-it-at-all ": "unknown flag",
	} {
		_, err := parseFlagsIn(strings.Fields(line), env())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q in it", line, err, want)
		}
	}
	if _, err := parseFlagsIn(nil, env("CONFIG_FILE_PATH", "x", "NUM_WORKERS", "many")); err == nil || !strings.Contains(err.Error(), "NUM_WORKERS") {
		t.Errorf("a bad variable: %v", err)
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	legacy := map[string]bool{}
	for _, l := range legacyFlags {
		legacy[l.name] = true
	}
	plain := strings.ReplaceAll(helpText, "_", "-")
	flagSet(new(options), new(flagText)).VisitAll(func(f *pflag.Flag) {
		if !legacy[f.Name] && !strings.Contains(plain, "--"+f.Name) {
			t.Errorf("--%s is not in the help", f.Name)
		}
	})
	for _, t2 := range twins {
		if !strings.Contains(helpText, t2.variable) {
			t.Errorf("%s is not in the help", t2.variable)
		}
	}
}

func TestControlFlags(t *testing.T) {
	for line, want := range map[string]string{
		"-c x --envoy external --control-address 0.0.0.0:1 --control-cert a --control-key b --control-ca c":                        "",
		"-c x --envoy external --control-address 0.0.0.0:1 --control-cert a --control-key b":                                       "needed together",
		"-c x --envoy external --control-address 0.0.0.0 --control-cert a --control-key b --control-ca c":                          "HOST:PORT",
		"-c x --control-address 0.0.0.0:1 --control-cert a --control-key b --control-ca c":                                         "--envoy external",
		"-c x --envoy external --control-address h:1 --control-cert a --control-key b --control-ca c --envoy-tls-dir not/absolute": "absolute",
		"-c x --envoy external": "--control-address",
	} {
		_, err := parseFlagsIn(strings.Fields(line), env())
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v; want %q", line, err, want)
		}
	}
}

func TestURLNeedsExplain(t *testing.T) {
	_, err := parseFlagsIn(strings.Fields("check --url http://localhost:4000"), env())
	if err == nil || !strings.Contains(err.Error(), "--url needs --explain MODEL") {
		t.Errorf("said: %v", err)
	}
}
