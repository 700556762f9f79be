#!/usr/bin/env python3
"""Make adapters/catalog/models.txt from the price list that LiteLLM's PyPI package carries.

    tools/catalog.py              from the pinned release, checked by hash
    tools/catalog.py 1.107.0      from another release: prints the two lines to pin here

The list is model_prices_and_context_window_backup.json, MIT licensed, kept by LiteLLM's contributors:
https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json. Only what the gateway uses
is taken over. The release comes through pip, from wherever this machine's pip gets its packages.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile

VERSION = "1.106.2"
SHA256 = "66970be01c88f94618f9f69c1a1d29e400474f2d7b89973de7e373c110f455c2"

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(os.path.dirname(HERE), "adapters", "catalog", "models.txt")
INSIDE = "litellm/model_prices_and_context_window_backup.json"

# Rates a token: the code in the file, LiteLLM's name. They exist once more for each tier of service (@p, @f)
# and above a number of prompt tokens (>200000).
RATES = {
    "i": "input_cost_per_token",
    "o": "output_cost_per_token",
    "r": "cache_read_input_token_cost",
    "w": "cache_creation_input_token_cost",
    "W": "cache_creation_input_token_cost_above_1hr",
    "t": "output_cost_per_reasoning_token",
}
SERVICES = {"p": "priority", "f": "flex"}

# Everything else that is a number.
NUMBERS = {
    "a": "input_cost_per_audio_token",
    "A": "output_cost_per_audio_token",
    "ra": "cache_read_input_audio_token_cost",
    "g": "input_cost_per_image_token",
    "G": "output_cost_per_image_token",
    "ii": "input_cost_per_image",
    "oi": "output_cost_per_image",
    "s": "cost_per_second",
    "is": "input_cost_per_second",
    "os": "output_cost_per_second",
    "ia": "input_cost_per_audio_per_second",
    "q": "input_cost_per_query",
    "p": "input_cost_per_request",
    "c": "input_cost_per_character",
    "h": "search_context_cost_per_query",
    "hm": "google_maps_grounding_cost_per_query",
    "hq": "web_search_billing_unit",
    "u": "regional_endpoint_uplift_multiplier",
    "I": "max_input_tokens",
    "O": "max_output_tokens",
    "M": "max_tokens",
    "d": "output_vector_size",
}

# What a model can do, a letter each.
ABILITIES = {
    "f": "supports_function_calling",
    "p": "supports_parallel_function_calling",
    "t": "supports_tool_choice",
    "j": "supports_response_schema",
    "n": "supports_native_structured_output",
    "v": "supports_vision",
    "d": "supports_pdf_input",
    "a": "supports_audio_input",
    "A": "supports_audio_output",
    "V": "supports_video_input",
    "r": "supports_reasoning",
    "c": "supports_prompt_caching",
    "s": "supports_system_messages",
    "w": "supports_web_search",
    "u": "supports_url_context",
    "x": "supports_computer_use",
    "P": "supports_assistant_prefill",
    "S": "supports_native_streaming",
    "e": "supports_embedding_image_input",
}


def die(text):
    sys.exit("catalog: " + text)


def number(v):
    """The shortest way to write a number that reads back the same."""
    v = float(v)
    if v == int(v) and abs(v) < 1e15:
        return str(int(v))
    return re.sub(r"e([+-])0?(\d)", r"e\1\2", repr(v)).replace("e+", "e")


def rates(entry, provider):
    """The rates of an entry by code, tiers included."""
    out = {}
    for code, name in RATES.items():
        out[code] = entry.get(name)
        for letter, service in SERVICES.items():
            out[code + "@" + letter] = entry.get(name + "_" + service)
    for name, value in entry.items():
        m = re.fullmatch(r"(.+)_above_(\d+)(k?)_tokens(?:_(\w+))?", name)
        if not m:
            continue
        code = next((c for c, n in RATES.items() if n == m[1]), None)
        letter = next((s for s, n in SERVICES.items() if n == m[4]), None)
        if code is None or m[4] and not letter:
            continue
        above = int(m[2]) * (1000 if m[3] else 1)
        if provider == "xai":  # the higher tier begins at the number itself
            above -= 1
        out["%s%s>%d" % (code, "@" + letter if letter else "", above)] = value
    # Without a price of its own a cached token costs half at Fireworks, and nowhere else less than others.
    if provider.startswith("fireworks_ai") and out["r"] is None and out["i"] is not None:
        out["r"] = out["i"] * 0.5
    out.update(tiers(entry))
    return out


def tiers(entry):
    """A tiered_pricing table: the whole request has the rates of one tier, which lacks none."""
    table = sorted(
        (t for t in entry.get("tiered_pricing") or [] if len(t.get("range", [])) == 2 and "input_cost_per_token" in t),
        key=lambda t: t["range"][0],
    )
    out = {}
    for n, t in enumerate(table):
        above = ">%d" % t["range"][0] if n else ""
        i, o = t["input_cost_per_token"], t.get("output_cost_per_token", entry.get("output_cost_per_token"))
        w = t.get("cache_creation_input_token_cost", i)
        reasoning = t.get("output_cost_per_reasoning_token")
        if reasoning is None:
            own = entry.get("output_cost_per_reasoning_token")
            reasoning = o if "output_cost_per_token" in t or own is None else own
        out["i" + above], out["o" + above], out["t" + above] = i, o, reasoning
        out["r" + above] = t.get("cache_read_input_token_cost", i)
        out["w" + above], out["W" + above] = w, t.get("cache_creation_input_token_cost_above_1hr", w)
    return out


def line(name, entry):
    provider = entry.get("litellm_provider") or ""
    fields = rates(entry, provider)
    if "tiered_pricing" not in entry:  # LiteLLM's own tables are the only ones with reasoning above a tier
        fields = {c: v for c, v in fields.items() if not (c.startswith("t") and ">" in c)}
    for code, key in NUMBERS.items():
        fields[code] = entry.get(key)
    # A search's price by the size of its context: they are the same but where the provider tells the cost itself.
    fields["h"] = (entry.get(NUMBERS["h"]) or {}).get("search_context_size_medium")
    fields["hq"] = 1 if fields["hq"] == "per_query" else None
    values = ["%s=%s" % (c, number(v)) for c, v in fields.items() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    can = "".join(letter for letter, key in ABILITIES.items() if entry.get(key) is True)
    cells = [name, provider, entry.get("mode") or "", " ".join(values), can]
    if any("\t" in c or "\n" in c for c in cells) or not name.isascii():
        die("an entry with odd characters: %r" % name)
    return "\t".join(cells).rstrip("\t")


def table(prefix, codes):
    return "# %s: %s" % (prefix, " ".join("%s=%s" % (c, n) for c, n in codes.items()))


def main():
    version = sys.argv[1] if len(sys.argv) > 1 else VERSION
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder, "litellm==" + version],
            check=True,
        )
        with zipfile.ZipFile(os.path.join(folder, os.listdir(folder)[0])) as wheel:
            data = wheel.read(INSIDE)
    digest = hashlib.sha256(data).hexdigest()
    if version == VERSION and digest != SHA256:
        die("the price list of litellm %s has the hash %s, not the pinned one" % (version, digest))
    entries = json.loads(data)
    names = [n for n, e in entries.items() if n != "sample_spec" and "rules" not in e]
    if len({n.lower() for n in names}) != len(names):
        die("two names differ in case only")
    lines = [
        "# Prices and limits of models, from %s of litellm %s (MIT)," % (os.path.basename(INSIDE), version),
        "# sha256 %s. Made by tools/catalog.py; do not edit." % digest,
        table("rates", RATES), table("services", SERVICES), table("numbers", NUMBERS), table("abilities", ABILITIES),
    ]
    lines += [line(n, entries[n]) for n in sorted(names, key=str.lower)]
    with open(OUT, "w") as f:
        f.write("\n".join(lines) + "\n")
    print("catalog: %d models of litellm %s" % (len(names), version))
    if version != VERSION:
        print('Pin it in tools/catalog.py:\nVERSION = "%s"\nSHA256 = "%s"' % (version, digest))


main()
