package sdks

import (
	"encoding/json"
	"strings"
	"testing"

	ollama "github.com/ollama/ollama/api"
)

// TestOllamaReads: nothing that is sent to Ollama is unknown to the types that it reads requests with, and the fixtures
// are what it writes. A keep_alive of 5m is read as 5m0s.
func TestOllamaReads(t *testing.T) {
	for _, provider := range []string{"ollama", "ollama_chat"} {
		eachCase(t, "../testdata/"+provider+"/*.txtar", func(t *testing.T, files map[string]string) {
			path, body := requestOf(files)
			var options map[string]any
			answers := strings.Split(strings.TrimSpace(files["upstream.ndjson"]), "\n")
			if answer := files["upstream.json"]; answer != "" {
				answers = []string{answer}
			}
			if strings.Contains(files["want.usage"], "error ") || answers[0] == "" {
				answers = nil
			}
			switch path {
			case "/api/chat":
				options = roundTrip[ollama.ChatRequest](t, body, ".keep_alive").Options
				for _, line := range answers {
					roundTrip[ollama.ChatResponse](t, line)
				}
			case "/api/generate":
				options = roundTrip[ollama.GenerateRequest](t, body, ".keep_alive").Options
				for _, line := range answers {
					roundTrip[ollama.GenerateResponse](t, line)
				}
			case "/api/embed":
				options = roundTrip[ollama.EmbedRequest](t, body, ".keep_alive").Options
				for _, line := range answers {
					roundTrip[ollama.EmbedResponse](t, line, ".embedding")
				}
			case "":
			default:
				t.Errorf("%s is read by no type", path)
			}
			if options == nil {
				return
			}
			text, err := json.Marshal(options)
			if err != nil {
				t.Fatal(err)
			}
			roundTrip[ollama.Options](t, string(text))
		})
	}
}
