package main

import (
	"fmt"

	"github.com/spf13/pflag"
)

// legacyFlag is a flag of LiteLLM's proxy that has no meaning here. Those that only tune its Python
// server are accepted with a word, so that changing the command's name is enough to move; those whose
// silence would change what is served, or what it costs, stop the start.
type legacyFlag struct {
	name, short string
	isBool      bool
	refuse      bool
	answer      string
}

const (
	envoyServes = "Envoy serves"
	inConfig    = "write it into config.yaml"
	ownSchema   = "the database's schema is kept up to date at every start"
	byPassword  = "PostgreSQL is reached with the user and the password in general_settings.database_url or DATABASE_URL"
)

// legacyFlags: https://docs.litellm.ai/docs/proxy/cli
var legacyFlags = []legacyFlag{
	{name: "run-gunicorn", isBool: true, answer: envoyServes},
	{name: "run-hypercorn", isBool: true, answer: envoyServes},
	{name: "run-granian", isBool: true, answer: envoyServes},
	{name: "granian-threads", answer: envoyServes + "; --concurrency sets its threads"},
	{name: "keepalive-timeout", answer: envoyServes + " and keeps idle connections open"},
	{name: "timeout-worker-healthcheck", answer: "there are no worker processes"},
	{name: "max-requests-before-restart", answer: "no process needs to be restarted"},
	{name: "max-requests-before-restart-jitter", answer: "no process needs to be restarted"},
	{name: "limit-concurrency", answer: "the number of connections is bounded by Envoy"},
	{name: "log-config", answer: "--log-format chooses how lines look, --debug how many there are"},
	{name: "use-queue", isBool: true, answer: "there is no queue"},
	{name: "telemetry", answer: "none is sent"},
	{name: "local", isBool: true, answer: "it does nothing in LiteLLM either"},
	{name: "reload", isBool: true, answer: "the configuration is always read again when it changes"},
	{name: "prometheus-metrics-port", answer: "metrics are served at /metrics on the main port"},
	{name: "add-function-to-prompt", isBool: true, answer: "tools are sent as tools"},
	{name: "use-prisma-db-push", isBool: true, answer: ownSchema},
	{name: "enforce-prisma-migration-check", isBool: true, answer: ownSchema},
	{name: "use-v2-migration-resolver", isBool: true, answer: ownSchema},
	{name: "use-legacy-migration-resolver", isBool: true, answer: ownSchema},

	{name: "model", short: "m", refuse: true, answer: inConfig + ": model_list: [{model_name: x, litellm_params: {model: provider/name}}]"},
	{name: "alias", refuse: true, answer: inConfig + ", as model_name"},
	{name: "api-base", refuse: true, answer: inConfig + ", as litellm_params.api_base"},
	{name: "api-version", refuse: true, answer: inConfig + ", as litellm_params.api_version"},
	{name: "headers", refuse: true, answer: inConfig + ", as litellm_params.extra_headers"},
	{name: "temperature", refuse: true, answer: inConfig + ", as litellm_params.temperature"},
	{name: "max-tokens", refuse: true, answer: inConfig + ", as litellm_params.max_tokens"},
	{name: "max-budget", refuse: true, answer: inConfig + ", as litellm_settings.max_budget"},
	{name: "add-key", refuse: true, answer: "set the provider's environment variable, such as OPENAI_API_KEY"},
	{name: "iam-token-db-auth", isBool: true, refuse: true, answer: byPassword},
	{name: "azure-postgresql-auth", isBool: true, refuse: true, answer: byPassword},
	{name: "save", isBool: true, refuse: true, answer: inConfig},
	{name: "ciphers", refuse: true, answer: "the ciphers are Envoy's defaults; put your own TLS in front if you need others"},
	{name: "setup", isBool: true, refuse: true, answer: "start from examples/quickstart.yaml"},
	{name: "skip-server-startup", isBool: true, refuse: true, answer: "to test a configuration write: sluice check --config FILE"},
	{name: "health", isBool: true, refuse: true, answer: "ask the running gateway: GET /health"},
	{name: "test", isBool: true, refuse: true, answer: "call the running gateway: POST /v1/chat/completions"},
	{name: "test-async", isBool: true, refuse: true, answer: "call the running gateway: POST /v1/chat/completions"},
	{name: "num-requests", refuse: true, answer: "call the running gateway: POST /v1/chat/completions"},
}

// legacy notes, or refuses, the flags of LiteLLM's that were given.
func (o *options) legacy(f *pflag.FlagSet) error {
	for _, l := range legacyFlags {
		if !f.Changed(l.name) {
			continue
		}
		if l.refuse {
			return usage("--%s has no meaning here: %s", l.name, l.answer)
		}
		o.notices = append(o.notices, fmt.Sprintf("--%s has no meaning here: %s; remove it", l.name, l.answer))
	}
	return nil
}
