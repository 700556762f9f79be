package config

import (
	"fmt"
	"strings"
)

// Fault is one thing wrong, or doubtful, in a configuration file.
type Fault struct {
	File    string // as the user named it, or as an include entry led to it
	Line    int    // 1-based; 0: the file as a whole
	Field   string // path such as "model_list[1].litellm_params.rpm"; empty: the file as a whole
	Message string // what happened and what to do, without secrets
}

// String renders "config.yaml:12: model_list[1].litellm_params.rpm: message".
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Field != "" {
		b.WriteString(": ")
		b.WriteString(f.Field)
	}
	b.WriteString(": ")
	b.WriteString(f.Message)
	return b.String()
}

// Error implements error.
func (f Fault) Error() string { return f.String() }

// Faults is every fault of a configuration, in the order of the file; as an error it has one a line.
type Faults []Fault

// Error implements error.
func (fs Faults) Error() string {
	var b strings.Builder
	for i, f := range fs {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(f.String())
	}
	return b.String()
}

// maxFaults bounds what one broken file may say: beyond it nobody reads on.
const maxFaults = 200

// Near is the candidate that a misspelt name most likely meant, or "" when none is close.
func Near(name string, candidates []string) string {
	best, bestDistance := "", len(name)/3+1
	if bestDistance > 4 {
		bestDistance = 4
	}
	if len(name) > 128 {
		return ""
	}
	for _, c := range candidates {
		if d := len(c) - len(name); d >= bestDistance || -d >= bestDistance {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// didYouMean is Near as the end of a sentence: "; did you mean x?" or "".
func didYouMean(name string, candidates []string) string {
	if n := Near(name, candidates); n != "" {
		return fmt.Sprintf("; did you mean %s?", n)
	}
	return ""
}

// distance is the edit distance of a and b in bytes, two swapped neighbours counting as one edit.
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := row[j]
			if a[i] != b[j] {
				cost++
			}
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				cost = min(cost, before[j-1]+1)
			}
			next[j+1] = min(cost, row[j+1]+1, next[j]+1)
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
