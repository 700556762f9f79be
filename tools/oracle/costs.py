#!/usr/bin/env python3
"""Make adapters/catalog/testdata/costs.tsv: what LiteLLM says that calls cost.

    /path/to/litellm/bin/python tools/oracle/costs.py

A line is the provider, the model, the number of the usage (below, and in the test), the key under which
LiteLLM found the model, and the dollars; "-" where it knows no such model.
"""

import json
import os
import random

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402
from litellm import Usage, cost_per_token  # noqa: E402
from litellm.types.utils import CompletionTokensDetailsWrapper, PromptTokensDetailsWrapper  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "..", "adapters", "catalog", "testdata", "costs.tsv")

# prompt, cached read, cache write, of it for an hour, audio, completion, reasoning, audio, tier of service
USAGES = [
    (1000, 0, 0, 0, 0, 500, 0, 0, None),
    (1000, 300, 0, 0, 0, 500, 200, 0, None),
    (5000, 1000, 2000, 0, 0, 700, 0, 0, None),
    (5000, 1000, 2000, 500, 0, 700, 0, 0, None),
    (210000, 50000, 0, 0, 0, 1000, 100, 0, None),
    (130000, 0, 0, 0, 0, 1000, 0, 0, None),
    (300000, 100000, 10000, 0, 0, 2000, 0, 0, "priority"),
    (1000, 300, 0, 0, 0, 500, 200, 0, "flex"),
    (1000, 0, 0, 0, 400, 500, 0, 100, None),
]

NAMES = [
    ("openai", "gpt-4o"), ("openai", "gpt-4o-2024-08-06"), ("openai", "gpt-4o-2099-01-01"), ("openai", "GPT-4o"),
    ("openai", "ft:gpt-4o-mini-2024-07-18:org::id"), ("openai", "ft:gpt-3.5-turbo:org:name:id"), ("openai", "openai/gpt-4o"),
    ("openai", "no-such-model"), ("openai", "claude-sonnet-4-5"), ("anthropic", "gpt-4o"), ("anthropic", "claude-sonnet-4-5-20250929"),
    ("azure", "gpt-4o"), ("azure", "eu/gpt-4o-2024-08-06"), ("azure", "my-deployment"), ("azure_ai", "gpt-4o"),
    ("bedrock", "us.anthropic.claude-sonnet-4-20250514-v1:0"), ("bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0:51k"),
    ("bedrock", "converse/us.meta.llama3-2-11b-instruct-v1:0"), ("bedrock", "invoke/anthropic.claude-v2"),
    ("bedrock", "us-east-1/anthropic.claude-instant-v1"), ("bedrock", "us-east-1/mistral.mistral-large-2402-v1:0"),
    ("bedrock", "apac.amazon.nova-lite-v1:0"), ("bedrock", "amazon.titan-embed-text-v2:0"), ("bedrock", "cohere.embed-english-v3"),
    ("bedrock", "arn:aws:bedrock:us-east-1:123:inference-profile/us.anthropic.claude-3-haiku-20240307-v1:0"),
    ("vertex_ai", "gemini-2.5-pro"), ("vertex_ai", "gemini-2.0-flash-001"), ("vertex_ai", "claude-sonnet-4-5"),
    ("vertex_ai", "claude-sonnet-4@20250514"), ("vertex_ai", "llama-3.1-405b-instruct-maas"), ("vertex_ai", "mistral-large"),
    ("vertex_ai", "text-embedding-004"), ("gemini", "gemini-2.5-flash"), ("gemini", "gemini-2.5-flash-001"), ("gemini", "gemini-2.5-pro"),
    ("mistral", "mistral-large-latest"), ("groq", "llama-3.3-70b-versatile"), ("deepseek", "deepseek-reasoner"),
    ("cohere", "command-r-plus"), ("cohere_chat", "command-r"), ("cohere", "embed-english-v3.0"),
    ("fireworks_ai", "accounts/fireworks/models/llama-v3p1-8b-instruct"), ("fireworks_ai", "accounts/fireworks/models/new-8b"),
    ("fireworks_ai", "accounts/fireworks/models/new-70b"), ("fireworks_ai", "accounts/fireworks/models/mixtral-8x7b-new"),
    ("together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo"), ("ollama", "llama3"), ("ollama", "mistral"),
    ("ollama_chat", "llama3"), ("hosted_vllm", "llama"), ("xai", "grok-4"), ("xai", "grok-3"), ("openrouter", "openai/gpt-4o"),
    ("openrouter", "anthropic/claude-sonnet-4"), ("perplexity", "sonar"), ("perplexity", "sonar-pro"),
    ("text-completion-openai", "gpt-3.5-turbo-instruct"), ("databricks", "databricks-claude-sonnet-4"), ("cerebras", "llama3.1-8b"),
]


def known(provider, model):
    try:
        return litellm.get_model_info(model=model, custom_llm_provider=provider)
    except Exception:
        return None


def cost(provider, model, u):
    prompt, read, write, hour, audio, completion, reasoning, spoken, tier = u
    details = {"cached_tokens": read, "audio_tokens": audio}
    if write:
        details["cache_creation_tokens"] = write
    if hour:
        details["cache_creation_token_details"] = {"ephemeral_5m_input_tokens": write - hour, "ephemeral_1h_input_tokens": hour}
    usage = Usage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion,
        prompt_tokens_details=PromptTokensDetailsWrapper(**details),
        completion_tokens_details=CompletionTokensDetailsWrapper(reasoning_tokens=reasoning, audio_tokens=spoken),
    )
    return sum(cost_per_token(
        model=model, custom_llm_provider=provider, usage_object=usage, prompt_tokens=prompt, completion_tokens=completion,
        service_tier=tier,
    ))


def sample():
    """A few hundred entries, a few of each provider, and every one with something special."""
    random.seed(4)
    by_provider = {}
    for name, e in litellm.model_cost.items():
        provider = e.get("litellm_provider")
        if e.get("mode") not in ("chat", "embedding", "completion", "responses") or not provider or provider.startswith("vertex_ai-"):
            continue
        if "off_peak_pricing" in e or not e.get("input_cost_per_token"):
            continue
        provider = "bedrock" if provider == "bedrock_converse" else provider
        if provider in litellm.provider_list:
            by_provider.setdefault(provider, []).append(name)
    out = []
    for provider in sorted(by_provider):
        names = sorted(by_provider[provider])
        special = [n for n in names if "tiered_pricing" in litellm.model_cost[n] or any("_above_" in f for f in litellm.model_cost[n])]
        for n in random.sample(names, min(5, len(names))) + random.sample(special, min(4, len(special))):
            out.append((provider, n[len(provider) + 1:] if n.startswith(provider + "/") else n))
    return out


def main():
    lines = []
    for provider, model in sorted(set(NAMES + sample())):
        info = known(provider, model)
        for i, usage in enumerate(USAGES):
            try:
                dollars = repr(cost(provider, model, usage))
            except Exception:
                dollars = "-"
            lines.append("\t".join([provider, model, str(i), (info or {}).get("key") or "", dollars]))
    with open(OUT, "w") as f:
        f.write("\n".join(lines) + "\n")
    print(json.dumps({"models": len(lines) // len(USAGES)}))


main()
