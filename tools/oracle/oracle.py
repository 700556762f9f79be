#!/usr/bin/env python3
"""Ask LiteLLM and sluice the same things and print where they differ.

    tools/oracle/oracle.py                    what is recorded of LiteLLM against bin/sluice
    tools/oracle/oracle.py --record           run LiteLLM first (slow to start), and keep its answers
    tools/oracle/oracle.py -k 'tools*' -v     some cases, with every value that differs
    tools/oracle/oracle.py -g ollama,azure    some providers or groups
    tools/oracle/oracle.py --all              with the differences that known*.json explain

Both stand before one provider on this machine, which records the requests and answers from
cases/replies.json. LiteLLM's answers are kept in .cache/oracle/litellm.json. README.md says what is
compared. Exits with 1 if anything unexplained differs.
"""

import argparse
import collections
import copy
import fnmatch
import glob
import json
import os
import signal
import sys
import time

import compare
import gateways
from provider import Provider

HERE = gateways.HERE
RECORD = os.path.join(gateways.CACHE, "litellm.json")
PATHS = {"chat": "/v1/chat/completions", "embed": "/v1/embeddings", "text": "/v1/completions", "rerank": "/v1/rerank"}


def load(name):
    with open(os.path.join(HERE, name)) as f:
        return json.load(f)


def expand(case):
    """The calls that a case stands for: its groups, plain and with drop_params, whole and streamed."""
    path = PATHS[case.get("call", "chat")]
    for group in case.get("groups", gateways.CHAT):
        for drop in (False, True) if case.get("drop") else (False,):
            for stream in {"both": (False, True), "only": (True,)}.get(case.get("stream"), (False,)):
                for reply in case.get("replies", [case.get("reply", "text")]):
                    body = {"model": group + ("-drop" if drop else "")}
                    body.update(copy.deepcopy(case["body"]))
                    if stream:
                        body["stream"] = True
                        if case.get("usage", True):
                            body["stream_options"] = {"include_usage": True}
                    parts = [case["name"], body["model"]] + ["stream"] * stream
                    parts += [reply] if len(case.get("replies", [])) > 1 else []
                    yield {"id": "/".join(parts), "group": group, "path": path, "body": body, "reply": reply}


def again(case, cases):
    """The cases that match any of the names in case["again"], but those in case["not"] and those that are their
    own groups' only, for other groups."""
    for other in cases:
        if "again" not in other and "own" not in other and other.get("call", "chat") == case.get("call", "chat") and \
                any(fnmatch.fnmatch(other["name"], n) for n in case["again"]) and \
                not any(fnmatch.fnmatch(other["name"], n) for n in case.get("not", [])):
            yield dict(other, groups=case["groups"])


def replies():
    """cases/replies*.json: what the provider answers, by name and dialect."""
    out = {}
    for path in sorted(glob.glob(os.path.join(HERE, "cases", "replies*.json"))):
        with open(path) as f:
            for name, entry in json.load(f).items():
                out.setdefault(name, {}).update(entry)
    return out


def calls(pattern, groups):
    out, names, cases = [], set(), []
    for path in sorted(glob.glob(os.path.join(HERE, "cases", "*.json"))):
        if not os.path.basename(path).startswith("replies"):
            with open(path) as f:
                cases += json.load(f)
    for case in cases:
        for c in again(case, cases) if "again" in case else (case,):
            out += expand(c)
    for c in out:
        if c["id"] in names:
            sys.exit("oracle: two cases are named %s" % c["id"])
        names.add(c["id"])
    return [c for c in out if fnmatch.fnmatch(c["id"], pattern) and
            any(g in ("*", c["group"], gateways.provider_of(c["group"])) for g in groups)]


def run(name, provider, todo, binary, keep=lambda id, got: None):
    """What each call led to: the upstream requests and the client's answer. keep is told of each."""
    gateway = gateways.Gateway(name, provider.url, binary)
    out = {}
    try:
        for c in todo:
            provider.tell(c["reply"])
            try:
                got = compare.answer(*gateway.ask("POST", c["path"], c["body"]))
            except OSError as e:
                got = {"status": 0, "text": type(e).__name__}
            sent = [compare.request(r) for r in provider.requests()]
            out[c["id"]] = {"sent": sent, "got": got}
            keep(c["id"], out[c["id"]])
    finally:
        gateway.end()
    return out


def keep(provider, missing, record, fresh):
    """Run LiteLLM and record it; what it has answered is kept even if the rest is not waited for."""
    begun = time.time()

    def one(name, got):
        record[name] = dict(got, of=fresh[name])
        if time.time() - begun > 20 * keep.saved:
            keep.saved += 1
            save(record)
            print("oracle: %s of LiteLLM, %d s" % (name, time.time() - begun), file=sys.stderr)

    keep.saved = 0
    try:
        run("litellm", provider, missing, None, one)
    finally:
        save(record)


def save(record):
    with open(RECORD + ".new", "w") as f:
        json.dump(record, f)
    os.replace(RECORD + ".new", RECORD)


def differences(theirs, ours):
    out = compare.diff(theirs["got"], ours["got"], "answer")
    if len(theirs["sent"]) != len(ours["sent"]):
        return [("requests", len(theirs["sent"]), len(ours["sent"]))] + out
    for a, b in zip(theirs["sent"], ours["sent"]):
        out += compare.diff(a, b, "request")
    return out


def explained(known, call, where):
    """Whether an entry of known*.json tells of this difference: its "where" is a pattern or a list of them."""
    plain = lambda p: p.replace("[", "<").replace("]", ">")
    for k in known:
        wheres = k["where"] if isinstance(k["where"], list) else [k["where"]]
        if fnmatch.fnmatch(call, k["case"]) and any(fnmatch.fnmatch(plain(where), plain(w)) for w in wheres):
            return True
    return False


def show(v):
    s = v if v == compare.ABSENT else json.dumps(v, ensure_ascii=False)
    return s if len(s) <= 300 else s[:300] + "…"


def report(todo, theirs, ours, known, args):
    tally = collections.defaultdict(lambda: [0, 0, 0])
    kinds = collections.Counter()
    for c in todo:
        found = differences(theirs[c["id"]], ours[c["id"]])
        new = [d for d in found if not explained(known, c["id"], d[0])]
        t = tally[gateways.provider_of(c["group"])]
        t[0] += 1
        t[1] += not found
        t[2] += not new
        if args.all:
            new = found
        if new:
            print(c["id"])
            for where, a, b in new:
                kinds[where] += 1
                print("    %-44s litellm %s\n    %-44s sluice  %s" % (where, show(a), "", show(b)) if args.verbose
                      else "    %-44s %s -> %s" % (where, show(a)[:90], show(b)[:90]))
    print("\n%-24s %6s %12s %22s" % ("provider", "calls", "the same", "same or explained"))
    for name, (n, same, fine) in sorted(tally.items()):
        print("%-24s %6d %6d %4.1f%% %16d %4.1f%%" % (name, n, same, 100 * same / n, fine, 100 * fine / n))
    return all(n == fine for n, _, fine in tally.values())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--record", action="store_true", help="run LiteLLM and keep its answers")
    p.add_argument("-k", default="*", metavar="GLOB", help="only these calls: case/group[/stream][/reply]")
    p.add_argument("-g", default="*", metavar="NAMES", help="only these groups or providers, with commas between")
    p.add_argument("--all", action="store_true", help="show explained differences, too")
    p.add_argument("-v", "--verbose", action="store_true", help="values in full")
    p.add_argument("--list", action="store_true", help="list the calls")
    p.add_argument("--binary", default=os.path.join(gateways.ROOT, "bin", "sluice"))
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("oracle: ended"))
    todo = calls(args.k, args.g.split(","))
    if args.list:
        print("\n".join(c["id"] for c in todo))
        return
    provider = Provider(replies())
    record = {}
    if os.path.exists(RECORD):
        with open(RECORD) as f:
            record = json.load(f)
    # A record counts as long as its case is what it was.
    fresh = {c["id"]: json.dumps([c, provider.replies[c["reply"]]], sort_keys=True) for c in todo}
    missing = [c for c in todo if args.record or record.get(c["id"], {}).get("of") != fresh[c["id"]]]
    if missing:
        keep(provider, missing, record, fresh)
    ours = run("sluice", provider, todo, args.binary)
    if not report(todo, record, ours, [k for path in sorted(glob.glob(os.path.join(HERE, "known*.json"))) for k in load(path)], args):
        sys.exit(1)


if __name__ == "__main__":
    main()
