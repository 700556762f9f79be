package config

import (
	"embed"
	"strings"
)

// The lists in known/ are the names that LiteLLM 1.106.2 understands in each section. They tell a
// misspelling from a setting that has no effect here yet; what is read here is in the fields maps.
//
//go:embed known/*.txt
var knownFiles embed.FS

// names maps each name of a list to its note: what to do instead, or "".
type names map[string]string

var (
	knownSections  = readNames("sections")
	knownRouter    = readNames("router_settings")
	knownLiteLLM   = readNames("litellm_settings")
	knownGeneral   = readNames("general_settings")
	knownParams    = readNames("litellm_params")
	knownPrices    = readNames("prices")
	knownModelInfo = readNames("model_info")
)

// readNames panics on a missing list: that is a broken build, met by every test.
func readNames(list string) names {
	data, err := knownFiles.ReadFile("known/" + list + ".txt")
	if err != nil {
		panic("config: " + err.Error())
	}
	out := names{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, note, _ := strings.Cut(line, ":")
		out[name] = strings.TrimSpace(note)
	}
	return out
}

// quiet is the note of a setting that is rightly without effect here, so that nothing need be said.
const quiet = "quiet"

// notRead says what becomes of a member that has no field here: known to LiteLLM, at home in another
// section, or a misspelling.
func (r *reader) notRead(section string, known names, own fields) func(m member, path string) {
	return func(m member, path string) {
		at := value{file: m.v.file, line: m.line}
		if note, ok := known[m.name]; ok {
			switch note {
			case quiet:
			case "":
				r.warn(&at, path, "is known to LiteLLM, not built yet: has no effect")
			default:
				r.warn(&at, path, "has no effect: %s", note)
			}
			return
		}
		for _, other := range []struct {
			name  string
			names names
		}{{"router_settings", knownRouter}, {"litellm_settings", knownLiteLLM}, {"general_settings", knownGeneral}} {
			if _, ok := other.names[m.name]; ok && other.name != section {
				r.warn(&at, path, "has no effect here: it belongs in %s", other.name)
				return
			}
		}
		r.unknown(m, path, "setting of "+section, append(sortedNames(known), sortedNames(own)...))
	}
}

// parsedOnly are settings that are read, and so checked, but that nothing acts on yet: silence about them
// would be a promise. Whoever builds one takes its line away. Each is said once.
var parsedOnly = map[string]string{
	"health_check_interval": "models are asked when GET /health is",
	"cache":                 "answers are not cached",
}

// sayParsedOnly warns of m if nothing acts on it yet. A switch that is off, and a zero, are as good as
// absent.
func (r *reader) sayParsedOnly(m member, path string) {
	effect, ok := parsedOnly[m.name]
	if !ok || r.said[m.name] || m.v.missing != "" {
		return
	}
	if n, isNumber := parseFloat(m.v.text); m.v.kind == list && len(m.v.items) == 0 || isNumber && n == 0 ||
		m.v.kind == boolean && !truth[strings.ToLower(m.v.text)] {
		return
	}
	r.said[m.name] = true
	at := value{file: m.v.file, line: m.line}
	r.warn(&at, path, "is known to LiteLLM, not built yet: %s", effect)
}
