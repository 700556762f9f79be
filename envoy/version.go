package envoy

import (
	"fmt"
	"strconv"
	"strings"
)

// MinVersion is the oldest Envoy that sluice runs on: crashes of ext_proc and of upstream filters were
// fixed as late as this.
var MinVersion = Version{1, 40, 0}

// Version is an Envoy release: major, minor, patch.
type Version [3]int

// String is the version in dots, 1.40.0.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// Less tells whether v is older than w.
func (v Version) Less(w Version) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}

// ParseVersion reads what `envoy --version` and the admin's /server_info say:
//
//	envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL
//
// A development build (1.41.0-dev) counts as the release that it leads to.
func ParseVersion(text string) (Version, error) {
	text = strings.TrimSpace(text)
	if len(text) > 200 {
		text = text[:200]
	}
	build := text
	if _, after, ok := strings.Cut(text, "version:"); ok {
		build = strings.TrimSpace(after)
	}
	if parts := strings.Split(build, "/"); len(parts) >= 2 {
		build = parts[1]
	}
	number, _, _ := strings.Cut(build, "-")
	fields := strings.Split(number, ".")
	var v Version
	if len(fields) != len(v) {
		return v, fmt.Errorf("no Envoy version in %q", text)
	}
	for i, field := range fields {
		n, err := strconv.Atoi(field)
		if err != nil || n < 0 {
			return Version{}, fmt.Errorf("no Envoy version in %q", text)
		}
		v[i] = n
	}
	return v, nil
}
