"""What a program with OpenAI's Python library does, against a gateway.

Reads {"url", "key", "wrong", "providers": {name: {case: model}}} from standard input. Each check is a
function; it fails by an exception, and all failures are shown. It never starts or scripts anything.
"""

import json
import sys
import traceback

import openai

given = json.load(sys.stdin)
client = openai.OpenAI(base_url=given["url"] + "/v1", api_key=given["key"], max_retries=2)
ask = [{"role": "user", "content": "hello"}]
tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]


def expect(got, want):
    assert got == want, "got %r, want %r" % (got, want)


def raises(kind, status, call):
    """call raises exactly this class, with the status and OpenAI's fields."""
    try:
        call()
    except openai.APIStatusError as e:
        expect(type(e), kind)
        expect(e.status_code, status)
        assert e.body and set(e.body) >= {"message", "type", "param", "code"}, e.body
        return e
    raise AssertionError("no exception, want %s" % kind.__name__)


def chat(m):
    out = client.chat.completions.create(model=m["chat"], messages=ask)
    expect(out.choices[0].message.content, "hello there")
    expect(out.choices[0].finish_reason, "stop")
    expect(out.usage.total_tokens, 7)
    raw = client.chat.completions.with_raw_response.create(model=m["chat"], messages=ask)
    expect(raw.headers["x-litellm-model-id"], m["chat"])


def stream(m):
    text, usage = "", None
    for chunk in client.chat.completions.create(model=m["stream"], messages=ask, stream=True, stream_options={"include_usage": True}):
        expect(chunk.model, m["stream"])
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
        usage = chunk.usage or usage
    expect(text, "hello there")
    expect(usage.total_tokens, 7)


def tool(m):
    call = client.chat.completions.create(model=m["tool"], messages=ask, tools=tools).choices[0].message.tool_calls[0]
    expect((call.id, call.function.name), ("call_1", "weather"))
    expect(json.loads(call.function.arguments), {"city": "Oslo"})
    with client.chat.completions.stream(model=m["toolStream"], messages=ask, tools=tools) as s:
        for _ in s:
            pass
        call = s.get_final_completion().choices[0].message.tool_calls[0]
    expect((call.id, call.function.name), ("call_1", "weather"))
    expect(json.loads(call.function.arguments), {"city": "Oslo"})


def errors(m):
    def create(model, **more):
        return lambda: client.chat.completions.create(model=model, messages=ask, **more)

    raises(openai.AuthenticationError, 401, create(m["refusal"]))
    raises(openai.BadRequestError, 400, create("no-such-model"))
    raises(openai.RateLimitError, 429, create(m["limited"]))
    raises(openai.InternalServerError, 500, create(m["down"]))
    raises(openai.InternalServerError, 500, create(m["garbage"], stream=True))
    raises(openai.APIStatusError, 408, create(m["hang"], timeout=20, extra_body={"timeout": 0.3}))
    e = raises(openai.BadRequestError, 400, lambda: client.chat.completions.create(model=m["chat"], messages="x"))
    expect(e.param, "messages")
    try:
        for _ in client.chat.completions.create(model=m["cut"], messages=ask, stream=True):
            pass
    except openai.APIError as e:
        assert "before the answer was complete" in e.message, e.message
    else:
        raise AssertionError("a stream that broke off looks complete")


def keys(_):
    wrong = openai.OpenAI(base_url=given["url"] + "/v1", api_key=given["wrong"])
    e = raises(openai.AuthenticationError, 401, lambda: wrong.chat.completions.create(model="m0", messages=ask))
    expect(e.type, "token_not_found_in_db")


def models(_):
    assert any(m.id == "pair" for m in client.models.list())
    expect(client.models.retrieve("pair").id, "pair")


def run():
    failed = 0
    for name, m in given["providers"].items():
        for check in (chat, stream, tool, errors, keys, models):
            try:
                check(m)
            except Exception:
                failed += 1
                print("--- %s, %s:" % (name, check.__name__))
                traceback.print_exc(file=sys.stdout)
    sys.exit(failed and 1)


run()
