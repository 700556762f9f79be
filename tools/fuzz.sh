#!/usr/bin/env bash
# Run every fuzz target of the module for a while, one after the other: fuzz.sh [time per target].
# Targets are found by asking each package's test binary, so that a new one needs no entry here.
set -euo pipefail
cd "$(dirname "$0")/.."
for_each=${1:-20s}
found=0
packages=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...)
for package in $packages; do
	# A package that does not compile must stop this, not count as one without targets.
	if ! listed=$(go test -list '^Fuzz' "$package" 2>&1); then
		echo "$listed" >&2
		exit 1
	fi
	for target in $(grep '^Fuzz' <<<"$listed" || true); do
		found=$((found + 1))
		echo "fuzz: $package $target ($for_each)"
		go test -run '^$' -fuzz "^${target}\$" -fuzztime "$for_each" "$package"
	done
done
if [ "$found" -eq 0 ]; then
	echo "fuzz: no fuzz target found" >&2
	exit 1
fi
echo "fuzz: $found targets passed"
