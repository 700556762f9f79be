#!/usr/bin/env bash
# Run every fuzz target of the module for a while, one after the other: fuzz.sh [time per target] [pattern].
# Targets are found by asking each package's test binary, so that a new one needs no entry here. The pattern, of
# grep -E, picks some of them: fuzz.sh 1m Gemini.
set -euo pipefail
cd "$(dirname "$0")/.."
for_each=${1:-20s}
pattern=${2:-.}

targets=()
# Only packages with such a function are built.
for package in $(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do
	# A package that does not compile must stop this, not count as one without targets.
	if ! listed=$(go test -list '^Fuzz' "$package" 2>&1); then
		echo "$listed" >&2
		exit 1
	fi
	for target in $(grep '^Fuzz' <<<"$listed" | grep -E "$pattern" || true); do
		targets+=("$package $target")
	done
done
if [ ${#targets[@]} -eq 0 ]; then
	echo "fuzz: no fuzz target matches $pattern" >&2
	exit 1
fi

i=0
for entry in "${targets[@]}"; do
	read -r package target <<<"$entry"
	i=$((i + 1))
	echo "fuzz: $i of ${#targets[@]}: $target of $package ($for_each)"
	# Each new input is tried out ten times at most to make it smaller: the default, a minute, is all the time there is.
	if ! go test -run '^$' -fuzz "^${target}\$" -fuzztime "$for_each" -fuzzminimizetime 10x "$package"; then
		echo "fuzz: $target of $package failed. Its input stays a test when the new file is committed:" >&2
		git ls-files --others --exclude-standard -- "$package/testdata/fuzz/$target" >&2
		echo "fuzz: to see it again: go test -run '^$target\$' $package" >&2
		exit 1
	fi
done
echo "fuzz: ${#targets[@]} targets passed"
