package adapters

import (
	"strings"

	"github.com/sluicegw/sluice/adapters/catalog"
)

// geminiModel is what a Gemini model can do, read off its name, so that a model newer than this program
// is treated like its neighbours.
//
// https://ai.google.dev/gemini-api/docs/models
type geminiModel struct {
	name string // in lower case, without a path before it
	// three: Gemini 3 or newer, which thinks by levels, has ids for its calls and wants its signatures back.
	three bool
	// major is the generation that the name tells, 0 if it tells none.
	major int
}

// geminiOf reads gemini-2.5-flash, gemini-3-pro-preview, gemini-flash-latest, gemma-3-27b-it, and the
// numbers and names of tuned models.
func geminiOf(model string) geminiModel {
	name := model[strings.LastIndexByte(model, '/')+1:]
	m := geminiModel{name: strings.ToLower(name)}
	rest, gemini := strings.CutPrefix(m.name, "gemini-")
	for i := 0; gemini && i < len(rest) && i < 3 && rest[i] >= '0' && rest[i] <= '9'; i++ {
		m.major = m.major*10 + int(rest[i]-'0')
	}
	switch {
	case m.name == "", strings.Trim(m.name, "0123456789") == "", strings.HasPrefix(m.name, "gemma-"):
	case !gemini:
		m.three = !strings.HasPrefix(model, "gemini/") // a tuned model has a name of its own
	case m.major > 0:
		m.three = m.major > 2
	default:
		m.three = !oldName(rest)
	}
	return m
}

// oldName tells gemini-pro, gemini-flash-8b and gemini-exp-1206 from gemini-pro-latest.
func oldName(rest string) bool {
	word, after, _ := strings.Cut(rest, "-")
	switch word {
	case "exp":
		return true
	case "pro", "flash":
		return after != "latest" && after != "lite-latest"
	}
	return false
}

// reasons: the model can think before it answers.
func (m geminiModel) reasons() bool {
	switch {
	case strings.Contains(m.name, "tts"), strings.Contains(m.name, "-image") && !m.three, strings.Contains(m.name, "computer-use"):
		return false
	case m.three:
		return true
	}
	return strings.HasPrefix(m.name, "gemini-2.5-") || strings.HasPrefix(m.name, "gemini-robotics-") || strings.HasPrefix(m.name, "gemma-4")
}

// penalizes: presence_penalty and frequency_penalty have an effect.
func (m geminiModel) penalizes() bool { return !m.three && m.name != "gemini-2.5-pro-preview-06-05" }

// instructs: the model takes a system instruction; the others read it as the user's words. The catalogue decides; of
// models that it does not know, as LiteLLM's does not, only new ones do.
func (m geminiModel) instructs(provider, model string) bool {
	if info, known := catalog.Lookup(provider, model); known {
		return info.Can(catalog.SystemMessages)
	}
	return m.three || strings.Contains(model, "gemini/")
}

// jsonSchema: the model takes JSON Schema as it is; older ones know a subset of OpenAPI's.
func (m geminiModel) jsonSchema() bool { return m.major >= 2 }

// speaks: the model answers with sound.
func (m geminiModel) speaks() bool { return strings.Contains(m.name, "tts") }

// minimal: the lowest level of thinking is called so.
func (m geminiModel) minimal() bool { return m.three && strings.Contains(m.name, "flash") }

// leastBudget is the smallest number of tokens that the model can be made to think with.
func (m geminiModel) leastBudget() int64 {
	switch {
	case strings.Contains(m.name, "gemini-2.5-flash-lite"):
		return 512
	case strings.Contains(m.name, "gemini-2.5-flash"):
		return 1
	}
	return 128 // gemini-2.5-pro
}
