#!/usr/bin/env python3
"""Merges CPU profiles of bin/sluice into the one that it is compiled by.

    tools/pgo.py OUT PROFILE...
"""
import gzip
import os
import subprocess
import sys


def main(out, profiles):
    merged = gzip.decompress(subprocess.run(["go", "tool", "pprof", "-proto", *profiles], check=True,
                                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    # Where the builder keeps the program is of no use to the compiler. A string's length stands before it, so
    # what takes its place is as long.
    path = os.path.abspath("bin/sluice").encode()
    merged = merged.replace(path, b"-" * len(path))
    with open(out, "wb") as f:
        f.write(gzip.compress(merged, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
