"""The two gateways: their common configuration, how they are started, and how they are asked.

It leaves alone what is asked and what the answers mean.
"""

import glob
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(ROOT, ".cache", "oracle")
KEY = "sk-oracle-0123456789abcdef"

# group: (litellm_params.model, where the provider is, given as api_base)
GROUPS = {
    "gpt-4o": ("openai/gpt-4o", "/v1"),
    "o3-mini": ("openai/o3-mini", "/v1"),
    "gpt-5": ("openai/gpt-5", "/v1"),
    "vllm": ("hosted_vllm/meta-llama/Llama-3.1-8B-Instruct", "/v1"),
    "custom": ("openai/my-own-model", "/some/base/v1"),
    "claude-4": ("anthropic/claude-sonnet-4-20250514", ""),
    "claude-45": ("anthropic/claude-sonnet-4-5", ""),
    "claude-35": ("anthropic/claude-3-5-haiku-20241022", ""),
    "embed": ("openai/text-embedding-3-small", "/v1"),
    "embed-vllm": ("hosted_vllm/BAAI/bge-m3", "/v1"),
    "instruct": ("text-completion-openai/gpt-3.5-turbo-instruct", "/v1"),
}
# Written differently for sluice, which has completions on the same provider.
SLUICE_MODEL = {"instruct": "openai/gpt-3.5-turbo-instruct"}
CHAT = ["gpt-4o", "o3-mini", "gpt-5", "vllm", "custom", "claude-4", "claude-45", "claude-35"]


# More groups, by the name that cases use: {"model", "base", and any other litellm_params}.
MORE = {}
for _path in sorted(glob.glob(os.path.join(HERE, "groups", "*.json"))):
    with open(_path) as _f:
        MORE.update(json.load(_f))


def provider_of(group):
    group = group.removesuffix("-drop")
    name = (MORE[group]["model"] if group in MORE else GROUPS[group][0]).split("/")[0]
    return "openai (completions)" if name == "text-completion-openai" else name


def config(url, ours):
    """config.yaml, as JSON: every group twice, plain and with drop_params."""
    models = []
    for group, (model, base) in GROUPS.items():
        for name, drop in ((group, False), (group + "-drop", True)):
            params = {"model": ours and SLUICE_MODEL.get(group) or model, "api_base": url + base,
                      "api_key": "sk-upstream-" + group}
            if drop:
                params["drop_params"] = True
            models.append({"model_name": name, "litellm_params": params})
    for group, more in MORE.items():
        for name, drop in ((group, False), (group + "-drop", True)):
            params = {k: v for k, v in {"api_key": "sk-upstream-" + group, **more}.items() if v is not None}
            params["api_base"] = url + params.pop("base")
            if more["model"].startswith("vertex_ai/"):
                del params["api_key"]
                params["vertex_credentials"] = account(url)
            if drop:
                params["drop_params"] = True
            models.append({"model_name": name, "litellm_params": params})
    return json.dumps({
        "model_list": models,
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "litellm_settings": {"num_retries": 0, "request_timeout": 10},
        "general_settings": {"master_key": KEY},
    }, indent=1)


def account(url):
    """A service account's key, as JSON in a text; the provider gives the tokens for it."""
    path = os.path.join(CACHE, "account.pem")
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, stderr=subprocess.DEVNULL)
    with open(path) as f:
        key = f.read()
    return json.dumps({"type": "service_account", "project_id": "proj-1", "private_key_id": "k1", "private_key": key,
                       "client_email": "oracle@proj-1.iam.gserviceaccount.com", "client_id": "1", "token_uri": url + "/token"})


class Gateway:
    """A running gateway; end() ends it."""

    def __init__(self, name, url, binary):
        self.name = name
        os.makedirs(CACHE, exist_ok=True)
        path = os.path.join(CACHE, name + ".yaml")
        with open(path, "w") as f:
            f.write(config(url, name == "sluice"))
        self.port = free_port()
        env = dict(os.environ)
        if name == "sluice":
            args = [binary, "--config", path, "--host", "127.0.0.1", "--port", str(self.port)]
        else:
            args = [litellm(), "--config", path, "--host", "127.0.0.1", "--port", str(self.port)]
            env.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_TELEMETRY="False", NO_DOCS="True", LITELLM_LOG="ERROR",
                       HF_HUB_OFFLINE="1")  # it would fetch tokenizers, and try for half a minute where it cannot
            for k in ("DATABASE_URL", "REDIS_URL"):
                env.pop(k, None)
        self.log = os.path.join(CACHE, name + ".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log, env=env, cwd=CACHE)
        self.wait()

    def wait(self):
        for _ in range(1200):
            if self.process.poll() is not None:
                break
            try:
                if self.ask("GET", "/health/readiness", None)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        self.end()
        sys.exit("oracle: %s did not become ready: see %s" % (self.name, self.log))

    def ask(self, method, path, body):
        """(status, content type, text) of one call; a broken connection is status 0."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            c.request(method, path, body=None if body is None else json.dumps(body),
                      headers={"content-type": "application/json", "authorization": "Bearer " + KEY})
            r = c.getresponse()
            try:
                text = r.read()
            except http.client.IncompleteRead as e:
                text = e.partial + b"\n\ndata: {\"error\":\"connection cut\"}\n\n"
            return r.status, r.headers.get("content-type", ""), text.decode("utf-8", "replace")
        finally:
            c.close()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def litellm():
    """The path of LiteLLM's command, installed on first use."""
    where = os.environ.get("ORACLE_VENV") or os.path.join(CACHE, "venv")
    command = os.path.join(where, "bin", "litellm")
    if not os.path.exists(command):
        print("oracle: installing LiteLLM into %s (a minute or two)" % where, file=sys.stderr)
        venv.create(where, with_pip=True)
        subprocess.run([os.path.join(where, "bin", "python"), "-m", "pip", "install", "-q", "-r",
                        os.path.join(HERE, "requirements.txt")], check=True)
    return command
