"""What two gateways sent and answered, as values, and where they differ.

Ids, times and the wording of errors are left out; so is the difference between null and absent in an
answer. Requests are compared exactly.
"""

import json
import re

ABSENT = "(absent)"
# Members of an answer that a gateway makes up.
OWN = {"id", "created", "system_fingerprint"}

# Headers of requests that say how the body is written, which every provider reads as JSON.
UNREAD = {"content-type"}


def diff(a, b, at=""):
    """[(path, a's value, b's value)] for everything that differs."""
    if isinstance(a, dict) and isinstance(b, dict):
        out = []
        for k in sorted((set(a) | set(b)) - (UNREAD if at.endswith(".headers") else set())):
            out += diff(a.get(k, ABSENT), b.get(k, ABSENT), "%s.%s" % (at, k) if at else k)
        return out
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        out = []
        for i, (x, y) in enumerate(zip(a, b)):
            out += diff(x, y, "%s[%d]" % (at, i))
        return out
    if isinstance(a, str) and isinstance(b, str) and a != b:
        if MADE_UP.sub("", a) == MADE_UP.sub("", b):
            return []
        x, y = parsed(a), parsed(b)
        if x is not None and x == y:
            return []
    if type(a) is bool or type(b) is bool:
        same = a is b
    else:
        same = a == b
    return [] if same else [(at, a, b)]


# An id that a gateway made up for a call that came without one; a signature may stand after it.
MADE_UP = re.compile(r"^(call_[0-9a-zA-Z-]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=$|__thought__)")


def parsed(s):
    """An object or array that a string holds as JSON, else None."""
    if s[:1] not in "{[":
        return None
    try:
        return json.loads(s)
    except ValueError:
        return None


def request(r):
    """One upstream request, ready to compare."""
    headers = dict(r["headers"])
    if "anthropic-beta" in headers:
        headers["anthropic-beta"] = sorted(h.strip() for h in headers["anthropic-beta"].split(","))
    if headers.get("authorization", "").startswith("AWS4-HMAC-SHA256"):
        # The signature differs by the second; that it is right is proved elsewhere.
        headers["authorization"] = re.sub(r"(Credential=[^/]*)/\d{8}|, ?Signature=.*", r"\1", headers["authorization"])
    body = r["body"]
    if body.get("stream") is False:  # the default, which LiteLLM writes for some providers
        body = {k: v for k, v in body.items() if k != "stream"}
    return {"method": r["method"], "path": r["path"], "headers": headers, "body": body}


def answer(status, content_type, text):
    """A client's answer, ready to compare."""
    out = {"status": status}
    if "text/event-stream" in content_type:
        out.update(merged(text))
        return out
    try:
        doc = json.loads(text)
    except ValueError:
        return dict(out, text=text[:200])
    if isinstance(doc, dict) and "error" in doc:
        return dict(out, error=error(doc["error"]))
    return dict(out, body=bare(doc))


def error(e):
    if not isinstance(e, dict):
        return e
    return {k: None if e.get(k) in (None, "None") else e.get(k) for k in ("type", "code")}


def bare(v, top=True):
    """v without nulls, empty containers beside them, and what a gateway makes up."""
    if isinstance(v, dict):
        out = {k: bare(x, False) for k, x in v.items() if not (top and k in OWN)}
        return {k: x for k, x in out.items() if x not in (None, {}, [])}
    if isinstance(v, list):
        return [bare(x, False) for x in v]
    return v


def merged(text):
    """A stream as the answer that its chunks make."""
    choices, out, done = {}, {}, 0
    for block in text.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].strip() for line in block.split("\n") if line.startswith("data:"))
        if not data:
            continue
        if data == "[DONE]":
            done += 1
            continue
        chunk = json.loads(data)
        if "error" in chunk:
            out["error"] = error(chunk["error"])
            continue
        for k in ("model", "object"):
            out.setdefault(k, chunk.get(k))
        if chunk.get("usage"):
            out["usage"] = bare(chunk["usage"])
        for c in chunk.get("choices") or []:
            merge(choices.setdefault(c.get("index", 0), {}), c)
    out["choices"] = [bare(choices[i]) for i in sorted(choices)]
    out["done"] = done
    return out


def merge(into, c):
    if c.get("finish_reason"):
        into["finish_reason"] = c["finish_reason"]
    if c.get("text"):
        into["text"] = into.get("text", "") + c["text"]
    if c.get("logprobs"):
        into.setdefault("logprobs", []).extend(c["logprobs"].get("content") or [])
    for k, v in (c.get("delta") or {}).items():
        if k == "tool_calls":
            for call in v or []:
                tool(into.setdefault("tool_calls", {}), call)
        elif k == "thinking_blocks":
            blocks(into.setdefault(k, []), v or [])
        elif k == "role":
            into[k] = v
        elif isinstance(v, str):
            into[k] = into.get(k, "") + v
        elif v:
            into[k] = v


def blocks(into, new):
    """Thinking comes in pieces and its signature last."""
    for b in new:
        if into and into[-1].get("type") == b.get("type") == "thinking" and not into[-1].get("signature"):
            into[-1]["thinking"] += b.get("thinking") or ""
            into[-1]["signature"] = b.get("signature")
        else:
            into.append(dict(b))


def tool(into, call):
    t = into.setdefault(str(call.get("index", 0)), {"name": "", "arguments": ""})
    for k in ("id", "type"):
        if call.get(k):
            t[k] = call[k]
    f = call.get("function") or {}
    t["name"] += f.get("name") or ""
    t["arguments"] += f.get("arguments") or ""
