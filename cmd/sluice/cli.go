package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sluicegw/sluice/cmd/sluice/config"
)

// options are the command line with its environment twins, validated.
type options struct {
	command string // "run", "check", "import", "version" or "help"
	config  string // path of config.yaml; set for run and check
	explain string // check: the model whose plan is explained; empty: all, in short
	url     string // check: the running gateway that is asked for it

	host string // where clients come in: an address, or a name that resolves to one
	port int

	certFile, keyFile string // PEM files; both or neither

	external    bool   // Envoy is run by others
	envoyPath   string // the Envoy to run; empty: ENVOY_PATH, .tools or PATH
	concurrency int    // Envoy's worker threads; 0: chosen by the number of processors
	databaseURL string // of import: LiteLLM's database
	// Of import: replace what is there already; change nothing; leave models out.
	overwrite, dryRun, withoutModels bool
	dataDir                          string // where the SQLite file is; empty: see dataFolder
	runtimeDir                       string // where the sockets between Envoy and sluice are; empty: a private temporary one

	http1 bool // no HTTP/2 for clients

	control control // where Envoys on other machines join; zero: nowhere

	drainTimeout   time.Duration // how long running calls may go on after a signal to stop
	maxBody        int64         // bytes of a request or an answer; 0: the configuration's, or the default
	requestTimeout time.Duration // of one attempt; 0: the configuration's
	dropParams     bool

	debug, detailedDebug bool
	logJSON              bool

	// notices are what a person should know about flags and variables that have no effect.
	notices []string
}

// usageError is a mistake in the command line: what was wrong, and how it is written.
type usageError struct{ message string }

func (e *usageError) Error() string {
	return e.message + "\nRun `sluice help` for all flags."
}

func usage(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

const (
	defaultPort  = 4000
	defaultHost  = "0.0.0.0"
	defaultDrain = 30 * time.Second
)

// commands are the subcommands; none means run.
var commands = []string{"run", "check", "ledger verify", "import", "version", "help"}

// parseFlags reads the command line after the program's name, and the environment variables that
// LiteLLM reads beside it (CONFIG_FILE_PATH, PORT, HOST, …). A flag comes before its variable.
func parseFlags(args []string) (options, error) {
	return parseFlagsIn(args, os.LookupEnv)
}

// flagText are the flags that need more than pflag's own parsing.
type flagText struct {
	port, envoy, drain, body, timeout, format string
	workers                                   int
	validate, version, help                   bool
}

func parseFlagsIn(args []string, env func(string) (string, bool)) (options, error) {
	var o options
	var t flagText
	f := flagSet(&o, &t)
	if err := f.Parse(args); err != nil {
		return o, usage("%s", betterFlagError(f, err))
	}
	if err := fromEnvironment(&o, f, env); err != nil {
		return o, err
	}
	if err := o.takeCommand(f.Args(), t); err != nil {
		return o, err
	}
	if o.command == "help" || o.command == "version" {
		return o, nil
	}
	if err := o.legacy(f); err != nil {
		return o, err
	}
	return o, o.finish(t, f)
}

// flagSet defines every flag. Names may be written with _ or -, as LiteLLM's and everybody else's are.
func flagSet(o *options, t *flagText) *pflag.FlagSet {
	f := pflag.NewFlagSet("sluice", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {}
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	f.StringVarP(&o.config, "config", "c", "", "")
	f.StringVar(&o.explain, "explain", "", "")
	f.StringVar(&o.url, "url", "", "")
	f.StringVar(&o.host, "host", defaultHost, "")
	f.StringVar(&t.port, "port", strconv.Itoa(defaultPort), "")
	f.StringVar(&o.certFile, "ssl-certfile-path", "", "")
	f.StringVar(&o.keyFile, "ssl-keyfile-path", "", "")
	f.BoolVar(&o.http1, "http1-only", false, "")
	f.StringVar(&t.envoy, "envoy", "managed", "")
	f.StringVar(&o.envoyPath, "envoy-path", "", "")
	f.IntVar(&o.concurrency, "concurrency", 0, "")
	f.IntVar(&t.workers, "num-workers", 0, "")
	f.StringVar(&o.runtimeDir, "runtime-dir", "", "")
	f.StringVar(&o.dataDir, "data-dir", "", "")
	f.StringVar(&o.databaseURL, "database-url", "", "")
	f.BoolVar(&o.overwrite, "overwrite", false, "")
	f.BoolVar(&o.dryRun, "dry-run", false, "")
	f.BoolVar(&o.withoutModels, "without-models", false, "")
	f.StringVar(&o.control.address, "control-address", "", "")
	f.StringVar(&o.control.cert, "control-cert", "", "")
	f.StringVar(&o.control.key, "control-key", "", "")
	f.StringVar(&o.control.ca, "control-ca", "", "")
	f.StringVar(&o.control.envoyDir, "envoy-tls-dir", "", "")
	f.StringVar(&t.drain, "drain-timeout", defaultDrain.String(), "")
	f.StringVar(&t.body, "max-body-size", "", "")
	f.StringVar(&t.timeout, "request-timeout", "", "")
	f.BoolVar(&o.dropParams, "drop-params", false, "")
	f.BoolVar(&o.debug, "debug", false, "")
	f.BoolVar(&o.detailedDebug, "detailed-debug", false, "")
	f.StringVar(&t.format, "log-format", "text", "")
	f.BoolVar(&t.validate, "validate-config", false, "")
	f.BoolVarP(&t.version, "version", "v", false, "")
	f.BoolVarP(&t.help, "help", "h", false, "")
	for _, l := range legacyFlags {
		if l.isBool {
			f.Bool(l.name, false, "")
		} else {
			f.StringP(l.name, l.short, "", "")
		}
	}
	return f
}

// betterFlagError adds the nearest flag to pflag's "unknown flag".
func betterFlagError(f *pflag.FlagSet, err error) string {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err.Error()
	}
	var known []string
	f.VisitAll(func(flag *pflag.Flag) { known = append(known, flag.Name) })
	name := strings.ReplaceAll(unknown.GetSpecifiedName(), "_", "-")
	if near := config.Near(name, known); near != "" {
		return fmt.Sprintf("there is no flag --%s; did you mean --%s?", name, near)
	}
	return err.Error()
}

// twins are the variables that stand for flags, as in LiteLLM's proxy.
var twins = []struct{ flag, variable string }{
	{"config", "CONFIG_FILE_PATH"}, {"host", "HOST"}, {"port", "PORT"}, {"num-workers", "NUM_WORKERS"},
	{"debug", "DEBUG"}, {"detailed-debug", "DETAILED_DEBUG"}, {"request-timeout", "REQUEST_TIMEOUT"},
	{"data-dir", "SLUICE_DATA_DIR"}, {"ssl-keyfile-path", "SSL_KEYFILE_PATH"}, {"ssl-certfile-path", "SSL_CERTFILE_PATH"},
}

func fromEnvironment(o *options, f *pflag.FlagSet, env func(string) (string, bool)) error {
	for _, t := range twins {
		value, ok := env(t.variable)
		if !ok || value == "" || f.Changed(t.flag) {
			continue
		}
		if err := f.Set(t.flag, value); err != nil {
			// DEBUG and HOST are names that other programs use, too.
			if strings.HasSuffix(t.variable, "DEBUG") {
				o.notices = append(o.notices, fmt.Sprintf("the environment variable %s is neither true nor false, so it has no effect", t.variable))
				continue
			}
			return usage("the environment variable %s: %s", t.variable, err)
		}
	}
	return nil
}

// takeCommand finds out what to do. `check` also takes the file as an argument.
func (o *options) takeCommand(args []string, t flagText) error {
	o.command = "run"
	switch {
	case t.help:
		o.command, args = "help", nil
	case t.version:
		o.command, args = "version", nil
	case t.validate:
		o.command = "check"
	}
	if len(args) > 0 && o.command == "run" {
		o.command, args = args[0], args[1:]
	}
	switch {
	case o.command == "check" && len(args) == 1 && o.config == "":
		o.config, args = args[0], nil
	case o.command == "ledger" && len(args) == 1 && args[0] == "verify":
		o.command, args = "ledger verify", nil
	case o.command == "import" && len(args) == 1 && args[0] == "litellm":
		args = nil
	case o.command == "import":
		return usage("write: sluice import litellm --database-url URL")
	case o.command == "help":
		args = nil
	}
	switch o.command {
	case "run", "check", "ledger verify", "import", "version", "help":
	default:
		if strings.HasSuffix(o.command, ".yaml") || strings.HasSuffix(o.command, ".yml") {
			return usage("%q is not a command; to start with that file write: sluice --config %s", o.command, o.command)
		}
		hint := "it is one of " + strings.Join(commands, ", ")
		if near := config.Near(o.command, commands); near != "" {
			hint = "did you mean " + near + "?"
		}
		return usage("%q is not a command; %s", o.command, hint)
	}
	if len(args) > 0 {
		return usage("%q is one argument too many for `sluice %s`", args[0], o.command)
	}
	return nil
}
