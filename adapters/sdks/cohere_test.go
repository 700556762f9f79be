package sdks

import (
	"strings"
	"testing"

	cohere "github.com/cohere-ai/cohere-go/v2"
)

// TestCohereReads: nothing that is sent to Cohere is unknown to its SDK, and the fixtures are what it reads, but for
// cached_tokens, which is newer than the SDK.
func TestCohereReads(t *testing.T) {
	for _, provider := range []string{"cohere", "cohere_chat"} {
		eachCase(t, "../testdata/"+provider+"/*.txtar", func(t *testing.T, files map[string]string) {
			path, body := requestOf(files)
			// The method sets stream. Of the others, n and names are OpenAI's, passed on as LiteLLM does; an earlier answer's
			// thinking is what clients sent back.
			but := []string{".stream", ".num_generations", ".messages[].name", ".messages[].reasoning_content", ".max_chunks_per_doc"}
			answer := files["upstream.json"]
			failed := strings.Contains(files["want.usage"], "error ") || answer == ""
			switch {
			case strings.HasSuffix(path, "/chat"):
				if strings.Contains(body, `"stream": true`) {
					roundTrip[cohere.V2ChatStreamRequest](t, body, but...)
				} else {
					roundTrip[cohere.V2ChatRequest](t, body, but...)
				}
				if !failed {
					if r := roundTrip[cohere.V2ChatResponse](t, answer, ".usage.cached_tokens", ".response_type"); r.Id == "" || r.FinishReason == "" || r.Message == nil {
						t.Errorf("not a whole answer: %s", answer)
					}
				}
			case strings.HasSuffix(path, "/embed"):
				roundTrip[cohere.V2EmbedRequest](t, body, but...)
				if !failed {
					roundTrip[cohere.EmbedByTypeResponse](t, answer, ".usage.cached_tokens", ".response_type")
				}
			case strings.HasSuffix(path, "/rerank"):
				roundTrip[cohere.V2RerankRequest](t, body, but...)
				if !failed {
					roundTrip[cohere.V2RerankResponse](t, answer, ".usage.cached_tokens", ".response_type")
				}
			case path != "":
				t.Errorf("%s is read by no type", path)
			}
			for line := range strings.Lines(files["upstream.sse"]) {
				if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data:"); ok && !strings.Contains(files["want.usage"], "error ") {
					roundTrip[cohere.V2ChatStreamResponse](t, data, ".usage.cached_tokens")
				}
			}
		})
	}
}
