"""A provider on loopback that records what it is asked and answers what it was told to.

It leaves alone what the answer means: replies are data, in cases/replies*.json.
"""

import http.server
import json
import socket
import threading
import time

import frames

# Request headers that are compared; the others differ by HTTP library and carry nothing.
HEADERS = ("authorization", "x-api-key", "api-key", "anthropic-version", "anthropic-beta", "content-type", "openai-organization",
           "x-goog-api-key", "x-extra", "x-other")
# What Google's token endpoint answers, which a service account's key names.
TOKEN = {"body": {"access_token": "ya29.oracle-access-token", "expires_in": 3600, "token_type": "Bearer"}}


class Provider:
    """Answers every request with the reply that tell() named last."""

    def __init__(self, replies):
        self.replies = replies
        self.name = "text"
        self.seen = []
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"provider": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def tell(self, name):
        with self.lock:
            self.name, self.seen = name, []

    def requests(self):
        with self.lock:
            return list(self.seen)

    def reply(self, dialect, streamed):
        """The reply for a dialect, its streamed form if the request was streamed and there is one."""
        entry = self.replies[self.name]
        entry = entry.get(dialect, entry.get("any")) or self.replies["text"].get(dialect)
        if entry is None:
            raise KeyError("cases/replies*.json: nothing for %s" % dialect)
        return entry.get("stream" if streamed else "whole", entry.get("whole", entry))


# The end of a path, and the dialect that is spoken there.
DIALECTS = (
    ("/messages", "anthropic"), ("/embeddings", "embedding"), ("/chat/completions", "openai"), ("/completions", "completion"),
    ("/api/chat", "ollama_chat"), ("/api/generate", "ollama"), ("/api/embed", "ollama_embed"),
    ("/v2/chat", "cohere"), ("/v2/embed", "cohere_embed"), ("/rerank", "rerank"),
    (":generateContent", "gemini"), (":streamGenerateContent", "gemini"), (":rawPredict", "anthropic"),
    (":streamRawPredict", "anthropic"), (":predict", "vertex-embedding"),
    (":batchEmbedContents", "gemini-embedding"), (":embedContent", "gemini-embed-content"),
)


# InvokeModel's path does not tell the format: the model's name in it does.
INVOKED = (("titan-embed", "titan_embed"), ("cohere.embed", "cohere_embed_aws"), ("titan", "titan"), ("llama", "llama"),
           ("mistral", "mistral_text"), ("cohere", "command"), ("anthropic", "anthropic"))


def dialect_of(path):
    if path.endswith(("/converse", "/converse-stream")):
        return "converse"
    if path.endswith(("/invoke", "/invoke-with-response-stream")):
        return next((name for part, name in INVOKED if part in path), "converse")
    return next((name for end, name in DIALECTS if path.endswith(end)), "openai")


def path_of_groq(path):
    """Groq's answers have a service_tier, without which LiteLLM falls over."""
    return path.startswith("/openai/v1/")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider = None

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.send_response(404)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw)
        except ValueError:
            body = {"not JSON": raw.decode("utf-8", "replace")}
        if self.path.endswith("/api/show"):  # LiteLLM asks Ollama what a model can do
            return self.do_GET()
        if self.path == "/token":
            return self.answer(TOKEN)
        p = self.provider
        with p.lock:
            p.seen.append({
                "method": self.command, "path": self.path, "body": body,
                "headers": {h: self.headers[h] for h in HEADERS if h in self.headers},
            })
        dialect = dialect_of(self.path.split("?")[0])
        path = self.path.split("?")[0]
        streamed = isinstance(body, dict) and body.get("stream") is True or path.endswith("-stream") or \
            path.endswith(":streamGenerateContent")
        if path.endswith("/invoke"):
            streamed = False  # whatever the body says
        r = p.reply(dialect, streamed)
        if path.endswith("/invoke-with-response-stream") and "events" in r:
            r = {"chunks": r["events"], **{k: v for k, v in r.items() if k != "events"}}
        if path_of_groq(self.path) and "choices" in r.get("body", {}):
            r = dict(r, body=dict(r["body"], service_tier="on_demand"))
        self.answer(r)

    def answer(self, r):
        if r.get("hangup"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = payload(r)
        self.send_response(r.get("status", 200))
        kinds = {"events": "text/event-stream", "lines": "application/x-ndjson", "frames": "application/vnd.amazon.eventstream",
                 "chunks": "application/vnd.amazon.eventstream"}
        streams = [k for k in kinds if k in r]
        self.send_header("content-type", r.get("type") or (kinds[streams[0]] if streams else "application/json"))
        for name, value in r.get("headers", {}).items():
            self.send_header(name, value)
        if streams or r.get("cut"):
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body) if body else b"")
            if r.get("cut"):  # no last chunk: the connection breaks in the middle
                self.wfile.flush()
                time.sleep(0.05)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def payload(r):
    """The bytes of a reply: raw text, events, or JSON."""
    if "raw" in r:
        return r["raw"].encode()
    if "frames" in r:
        return frames.encode(r["frames"])
    if "chunks" in r:
        return frames.chunks(r["chunks"])
    if "lines" in r:
        return "".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in r["lines"]).encode()
    if "events" in r:
        out = []
        for e in r["events"]:
            if isinstance(e, str):
                out.append("data: %s\n\n" % e)
            elif "type" in e:  # Anthropic names its events
                out.append("event: %s\ndata: %s\n\n" % (e["type"], json.dumps(e)))
            else:
                out.append("data: %s\n\n" % json.dumps(e))
        return "".join(out).encode()
    return json.dumps(r["body"]).encode()
