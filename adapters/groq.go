package adapters

import "strings"

// groqJSONByTool tells Groq's models without structured outputs.
//
// https://console.groq.com/docs/structured-outputs#supported-models
func groqJSONByTool(model string) bool {
	for _, s := range [...]string{"gpt-oss", "llama-4", "kimi-k2"} {
		if strings.Contains(model, s) {
			return false
		}
	}
	return true
}
