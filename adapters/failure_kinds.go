package adapters

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// statusOverloaded is what some providers answer when they have too much to do; it has no name in HTTP.
const statusOverloaded = 529

// saying is one way in which providers say what kind an error is: by a word in its type or code, by words in its
// message (all lower case), or by its HTTP status. Any of them will do.
type saying struct {
	kind   apierror.Kind
	status int // that it is passed on with; 0: its own
	labels []string
	texts  []string
	codes  []int // HTTP statuses
	// below: errors with this status or a greater one mean something else.
	below int
	// unless a word of the type or code says otherwise.
	unless []string
}

// sayings are tried in this order; what none of them knows is told by its HTTP status alone. They follow LiteLLM's
// exception mapping (https://docs.litellm.ai/docs/exception_mapping): Anthropic's overloaded_error is a 500. One
// more wording of a provider's belongs here, never where errors are acted on.
var sayings = []saying{
	{
		kind: apierror.ContextLength, status: http.StatusBadRequest, below: 500,
		labels: []string{"context_length_exceeded", "context_window_exceeded"},
	},
	{
		kind: apierror.ContextLength, status: http.StatusBadRequest, below: 500, unless: []string{"string_above_max_length"},
		texts: []string{
			"maximum context length", "model's maximum context limit", "longer than the model's context length", // OpenAI, Mistral, vLLM
			"input tokens exceed the configured limit", "context window", // OpenAI
			"prompt is too long", "prompt: length", "exceed context limit", // Anthropic, Fireworks
			"`inputs` tokens + `max_new_tokens` must be",           // Together, Hugging Face
			"exceeds the available context size",                   // llama.cpp
			"exceeds the maximum number of tokens allowed",         // Gemini
			"too many tokens: ",                                    // Cohere
			"maximum prompt length is",                             // xAI
			"exceeds the context length",                           // Ollama
			"reduce the length of the messages",                    // Groq, Azure
			"total tokens of image and text exceed max message to", // Moonshot
		},
	},
	{kind: apierror.ContextLength, status: http.StatusBadRequest, below: 500, texts: []string{"current length is&while limit is"}}, // Cerebras
	{kind: apierror.ContextLength, status: http.StatusBadRequest, below: 500, texts: []string{"maximum input length is&tokens"}},   // NVIDIA
	{
		kind: apierror.ContentPolicy, status: http.StatusBadRequest, below: 500,
		labels: []string{"content_policy", "content_filter", "responsibleaipolicyviolation"},
		texts: []string{
			"content_policy_violation", "violating our usage policy", "rejected as a result of the safety system",
			"rejected as a result of our safety system", "your task failed as a result of our safety system", // OpenAI
			"content filtering policy",                                  // Anthropic
			"content management policy", "responsibleaipolicyviolation", // Azure
			"violates our content policy",
		},
	},
	{kind: apierror.Overloaded, status: http.StatusInternalServerError, labels: []string{"overloaded_error"}}, // Anthropic
	{kind: apierror.Overloaded, status: statusOverloaded, codes: []int{statusOverloaded}},
	{kind: apierror.RateLimit, status: http.StatusTooManyRequests, labels: []string{"rate_limit"}, codes: []int{http.StatusTooManyRequests}},
	{kind: apierror.TooLarge, status: http.StatusBadRequest, labels: []string{"request_too_large"}},
	{kind: apierror.NotFound, status: http.StatusNotFound, labels: []string{"model_not_found", "deploymentnotfound"}},
	{kind: apierror.BadRequest, codes: []int{http.StatusUnprocessableEntity}},
	{kind: apierror.BadRequest, status: http.StatusBadRequest, codes: []int{http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, 498}}, // 498: Cohere
}

// classify tells the kind of a provider's error and the status it is passed on with.
func classify(status int, f *failure) (apierror.Kind, int) {
	text, label := strings.ToLower(f.message), strings.ToLower(f.typ+" "+f.code)
	for i := range sayings {
		if s := &sayings[i]; s.fits(status, label, text) {
			if s.status > 0 {
				status = s.status
			}
			return s.kind, status
		}
	}
	return apierror.KindFor(status), status
}

// likely is the status of an error that came with a good one, and tells none itself.
func likely(f *failure) int {
	switch label := strings.ToLower(f.typ + " " + f.code); {
	case containsAny(label, "invalid_api_key", "authentication_error"):
		return http.StatusUnauthorized
	case containsAny(label, "insufficient_quota"):
		return http.StatusTooManyRequests
	case containsAny(label, "invalid_request_error"):
		return http.StatusBadRequest
	}
	if kind, _ := classify(http.StatusBadRequest, f); kind != apierror.KindFor(http.StatusBadRequest) {
		return http.StatusBadRequest // its words are known, and are not those of a provider's own trouble
	}
	return http.StatusInternalServerError
}

func (s *saying) fits(status int, label, text string) bool {
	if s.below > 0 && status >= s.below || containsAny(label, s.unless...) {
		return false
	}
	return slices.Contains(s.codes, status) || containsAny(label, s.labels...) ||
		slices.ContainsFunc(s.texts, func(words string) bool { return containsAll(text, words) })
}

// containsAll tells whether s holds all of the words between the ampersands.
func containsAll(s, words string) bool {
	for w := range strings.SplitSeq(words, "&") {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}
