#!/usr/bin/env bash
# Run every fuzz target of the module for a while, one after the other: fuzz.sh [time per target].
# Targets are found by asking each package's test binary, so that a new one needs no entry here.
set -euo pipefail
cd "$(dirname "$0")/.."
for_each=${1:-20s}
found=0
while read -r package; do
	while read -r target; do
		found=$((found + 1))
		echo "fuzz: $package $target ($for_each)"
		go test -run '^$' -fuzz "^${target}\$" -fuzztime "$for_each" "$package"
	done < <(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true)
done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | grep .)
if [ "$found" -eq 0 ]; then
	echo "fuzz: no fuzz target found" >&2
	exit 1
fi
echo "fuzz: $found targets passed"
