package main

// helpText is `sluice help`. The test sees to it that every flag is in it.
const helpText = `sluice is an LLM gateway: one OpenAI-compatible endpoint for many providers, with
retries, fallbacks and load balancing. It reads LiteLLM's config.yaml; Envoy carries
the traffic.

Usage:
  sluice [flags]                  start the gateway
  sluice check [flags] [FILE]     explain a configuration, change nothing
  sluice ledger verify --config FILE
                                  compare every day's rows of spend with its totals;
                                  reads only, exits with 1 if some differ
  sluice import litellm [flags]   take over LiteLLM's keys, teams, users, budgets, models
  sluice version                  print the version
  sluice help                     print this

Examples:
  sluice --config examples/quickstart.yaml
      Works without any key: the model "demo" is built in. Then:
      curl localhost:4000/v1/chat/completions -H 'content-type: application/json' \
        -d '{"model":"demo","messages":[{"role":"user","content":"hello"}]}'

  sluice check --explain gpt-4o --url http://localhost:4000
      Shows what a call to gpt-4o would try in the gateway that runs there, why in this
      order, who is out and until when, and what it would cost.

  OPENAI_API_KEY=sk-… sluice --config config.yaml --port 8080
      Serves your models on port 8080; keys come from the environment.

  sluice check --config config.yaml
      Shows the model groups, what each call would try and in which order, and every
      warning and fault with its line. Exits with 1 if there are faults.

Configuration:
  -c, --config FILE            config.yaml (CONFIG_FILE_PATH). It is read again whenever
                               it changes, and on SIGHUP
      --request_timeout TIME   limit of one attempt, such as 60 or 2m (REQUEST_TIMEOUT);
                               wins over the configuration's
      --drop_params            drop parameters that a provider does not support, instead
                               of refusing the call
      --explain MODEL          with check: one model's plan at length
      --url URL                with --explain: ask the running gateway there, with the
                               master key of --config or LITELLM_MASTER_KEY
      --validate_config        the same as: sluice check

Serving:
      --host ADDRESS           where to listen (HOST; default 0.0.0.0, everywhere)
      --port PORT              default 4000 (PORT)
      --ssl_certfile_path FILE, --ssl_keyfile_path FILE
                               serve TLS with this certificate and key, in PEM
                               (SSL_CERTFILE_PATH, SSL_KEYFILE_PATH)
      --http1-only             no HTTP/2 for clients, as with LiteLLM
      --max-body-size SIZE     largest request or answer, such as 64MiB
      --data-dir DIR           where keys and spend are kept, in a SQLite file, unless the
                               configuration names a PostgreSQL (SLUICE_DATA_DIR; default
                               a folder of this configuration's own below
                               ~/.local/state/sluice)
      --drain-timeout TIME     how long running calls may go on after SIGTERM
                               (default 30s)

Moving from LiteLLM, with sluice import litellm:
      --database-url URL       LiteLLM's PostgreSQL, which is only read. What is taken over
                               goes to where --config or --data-dir says. LITELLM_SALT_KEY
                               opens the models that are stored there
      --dry-run                say what would be taken over
      --overwrite              replace what is here already
      --without-models         leave LiteLLM's models out

Envoy:
      --envoy MODE             managed: sluice runs Envoy (default); external: others do
      --envoy-path FILE        the Envoy to run, 1.40.0 or newer (ENVOY_PATH)
      --concurrency N          Envoy's threads; 0, the default, chooses by the processors
      --num_workers N          LiteLLM's name for --concurrency (NUM_WORKERS)
      --runtime-dir DIR        where the sockets between the two are; with --envoy
                               external, for an Envoy on this machine
      --control-address HOST:PORT
                               with --envoy external, for Envoys on other machines: they
                               join here, over mutual TLS. Needs the next three, in PEM
      --control-cert FILE, --control-key FILE
                               sluice's certificate, with the DNS name that Envoys dial
      --control-ca FILE        who signs the Envoys' certificates; any other is refused
      --envoy-tls-dir DIR      on Envoy's machine, the folder of its tls.crt, tls.key and
                               ca.crt (default /etc/sluice/envoy-tls)

Logs:
      --debug                  log more, a line a call among it (DEBUG)
      --detailed_debug         the same (DETAILED_DEBUG)
      --log-format FORMAT      text or json

      --version, --help        the same as: sluice version, sluice help

In flag names - and _ are the same. The flags of LiteLLM's own server (--run_gunicorn,
--keepalive_timeout …) are accepted with a word that they have no meaning here.
`
