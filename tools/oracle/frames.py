"""AWS's binary event stream, as the provider on loopback sends it.

It leaves alone what the events mean.
"""

import base64
import json
import struct
import zlib


def frame(name, payload, exception=False):
    """One event: its name and its JSON."""
    headers = b""
    for k, v in ((":exception-type" if exception else ":event-type", name), (":content-type", "application/json"),
                 (":message-type", "exception" if exception else "event")):
        headers += bytes([len(k)]) + k.encode() + b"\x07" + struct.pack(">H", len(v)) + v.encode()
    body = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
    out = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    out += struct.pack(">I", zlib.crc32(out)) + headers + body
    return out + struct.pack(">I", zlib.crc32(out))


def encode(events):
    """[[name, JSON]], an exception's name after a "!"."""
    return b"".join(frame(name.removeprefix("!"), payload, name.startswith("!")) for name, payload in events)


def chunks(events):
    """The events of a model's own stream, as InvokeModel wraps them."""
    return encode(["chunk", {"bytes": base64.b64encode((e if isinstance(e, str) else json.dumps(e)).encode()).decode()}]
                  for e in events)
