// Command sluice is an LLM gateway: one OpenAI endpoint before any number of providers, with LiteLLM's
// configuration and Envoy as its engine.
//
// This package wires: flags and config.yaml become one immutable assembly (assemble.go), run.go starts
// and stops the parts in order, apply.go puts an assembly into effect, watch.go notices changes. What
// the parts do is theirs: nothing here translates, plans or speaks to Envoy in protos.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/sluicegw/sluice"
	"github.com/sluicegw/sluice/cmd/sluice/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute is the command without the process around it. The code is 0 for success, 1 for a failure and 2
// for a mistake in the command line.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args)
	if err != nil {
		fmt.Fprintln(stderr, "sluice:", err)
		return 2
	}
	switch o.command {
	case "help":
		fmt.Fprint(stdout, helpText)
		return 0
	case "version":
		fmt.Fprintln(stdout, "sluice", sluice.Version)
		return 0
	case "check":
		return runCheck(o, stdout, stderr, os.LookupEnv)
	case "ledger verify":
		return runVerify(ctx, o, stdout, stderr)
	}
	tune(&o, os.Getenv)
	log := newLogger(o, stderr)
	for _, notice := range o.notices {
		log.Warn(notice)
	}
	if o.command == "import" {
		if err := runImport(ctx, o, stdout, log); err != nil {
			fmt.Fprintln(stderr, "sluice:", err)
			return 1
		}
		return 0
	}
	if err := run(ctx, o, log, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "sluice:", err)
		return 1
	}
	return 0
}

func newLogger(o options, w io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if o.debug || o.detailedDebug {
		level = slog.LevelDebug
	}
	h := &slog.HandlerOptions{Level: level}
	if o.logJSON {
		h.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration { // else a number of nanoseconds, without its unit
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		}
		return slog.New(slog.NewJSONHandler(w, h))
	}
	return slog.New(slog.NewTextHandler(w, h))
}

// configuredLogger is the logger with what the configuration asks for beside the command line.
func configuredLogger(o options, c *config.Config, w io.Writer) *slog.Logger {
	o.logJSON = o.logJSON || c.Settings.JSONLogs
	o.debug = o.debug || c.Settings.Verbose
	return newLogger(o, w)
}
