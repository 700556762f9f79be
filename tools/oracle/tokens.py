#!/usr/bin/env python3
"""Make adapters/tokens/testdata/counts.json: what LiteLLM's token_counter says of texts and chats.

    /path/to/litellm/bin/python tools/oracle/tokens.py
"""

import json
import os
import random

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm  # noqa: E402
from litellm import token_counter  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "..", "adapters", "tokens", "testdata", "counts.json")

PROSE = {
    "english": "The quick brown fox jumps over the lazy dog. It wasn't the first time; they'd done so since 1984, and nobody's surprised! \"Why?\" she asked - but no one answered her.\n\nChapter 2: the return.\n",
    "code": "func (c *Counter) Text(s string) int {\n\tif len(s) == 0 {\n\t\treturn 0 // nothing\n\t}\n\tfor i, r := range s { total += weights[r&0xff] << 3 }\n\treturn c.scale(total)\n}\n",
    "german": "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung aller staatlichen Gewalt. Straßenbahnhaltestellen, Größenordnungen, Übermut.\n",
    "russian": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью.\n",
    "chinese": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。\n",
    "japanese": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。\n",
    "arabic": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق.\n",
    "hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।\n",
    "emoji": "👍🏽 great job!!! 🎉🎉 → see https://example.com/a?b=c&d=%20e … ½ price ①②③ ™\n",
    "json": '{"id": "abc-123", "values": [1, 2.5, -3e10, null, true], "nested": {"key": "va\\"lue"}}\n',
    "base64": "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg==" * 3,
    "numbers": "3.14159265358979 1234567890 0x1F 1,000,000.00 2024-11-25T21:30:00Z +49 30 123456\n",
    "space": "a  b   c\n\n\n  d\t\te \r\n\r\n  f    \n   ",
    "case": "camelCaseWord HTTPServer XMLHttpRequest iPhone McDonald ÀÉÎ straßeN I'M we'RE DON'T it's 'twas o'clock ǅungla ʰa\n",
}


def texts():
    out = list(PROSE.values()) + ["", " ", "\n", "a", "é", "aaaaaaaaaaaaaaaaaaaaaaaa" * 10, "=" * 300, "\u0301\u0301a", "a\u0301B", "'s", "''s", " 's", "'", "'S", "1234", " 123", "\u00a0x", "x\u00a0", "\u2028y\n", "\x00\x01"]
    random.seed(7)
    pool = list("abcdefgABCDEFG   \n\r\t'\"/.,;:!?()[]{}<>=+-*_#@$%^&|~`0123456789éßñÀÉЖжшЁ中文あア한글ñ́̈ıſªºʰ²½①٣٤ǅ👍🏽🎉→\u00a0\u3000\u2028'''sstmdrevell")
    for _ in range(300):
        out.append("".join(random.choice(pool) for _ in range(random.randint(1, 40))))
    words = " ".join(PROSE.values()).split(" ")
    for n in (200, 400):
        out.append(" ".join(random.choice(words) for _ in range(n)))
    return out


PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAABdwAAAPo"
TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "The weather in a place", "parameters": {"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "description": "A city, such as Paris"}, "unit": {"type": "string", "enum": ["c", "f"]}, "days": {"type": "integer", "enum": [1, 2]},
        "places": {"type": "array", "items": {"type": "object", "properties": {"lat": {"type": "number", "description": "Latitude"}, "on": {"type": "boolean"}, "x": {"type": "null"}, "any": {}}}}}}}},
    {"type": "function", "function": {"name": "now"}},
    {"name": "anthropic_one", "description": "Its own shape", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
]
CHATS = [
    {"messages": [{"role": "user", "content": "Hello, world"}]},
    {"messages": [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": "Hi", "name": "Ann"}, {"role": "assistant", "content": "Hello!"}]},
    {"messages": [{"role": "user", "content": "Weather?"}], "tools": TOOLS},
    {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "Weather?"}], "tools": TOOLS[:1]},
    {"messages": [{"role": "user", "content": "Weather?"}], "tools": TOOLS[:2], "tool_choice": "none"},
    {"messages": [{"role": "user", "content": "Weather?"}], "tools": TOOLS[:2], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
    {"messages": [{"role": "user", "content": "Weather?"}, {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}]},
                  {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"}]},
    {"messages": [{"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}}, {"role": "function", "name": "f", "content": "ok"}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG, "detail": "high"}}, {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}]}]},
    {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "Let me see", "signature": "abc"}, {"type": "text", "text": "b"}]}]},
    {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "get_weather", "input": {"city": "Paris", "n": 1, "x": [True, None, "it's"]}}]},
                  {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "21"}]}, {"type": "tool_result", "tool_use_id": "t", "content": "22"}]}]},
    {"messages": [{"role": "user", "content": [{"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "Some text"}}, {"type": "document", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]},
]


def main():
    out = {"texts": [], "chats": [], "claude": {}}
    for t in texts():
        out["texts"].append({"text": t, "cl100k_base": token_counter(model="gpt-4", text=t), "o200k_base": token_counter(model="gpt-4o", text=t)})
    for model in ("gpt-4", "gpt-4o", "gpt-3.5-turbo", "mistral-large-latest"):
        for c in CHATS:
            out["chats"].append({"model": model, **c, "count": token_counter(model=model, messages=c["messages"], tools=c.get("tools"), tool_choice=c.get("tool_choice"))})
    for name, t in PROSE.items():
        out["claude"][name] = {"text": t * 5, "count": token_counter(model="claude-sonnet-4-5", text=t * 5)}
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w") as f:
        json.dump(out, f, ensure_ascii=True, indent=0)
    print(len(out["texts"]), "texts,", len(out["chats"]), "chats; litellm", getattr(litellm, "__version__", ""))


main()
