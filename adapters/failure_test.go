package adapters

import (
	"testing"

	"github.com/sluicegw/sluice/internal/apierror"
)

// TestProvidersErrors holds what providers really answer against the kinds that retries and fallbacks go by.
func TestProvidersErrors(t *testing.T) {
	for _, c := range []struct {
		model  string
		status int
		body   string
		kind   apierror.Kind
		as     int
	}{
		{"openai/gpt-4o", 400, `{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, apierror.ContextLength, 400},
		{"openai/gpt-4o", 400, `{"error":{"message":"Invalid 'user': string too long. Expected a string with maximum length 64","type":"invalid_request_error","param":"user","code":"string_above_max_length"}}`, apierror.BadRequest, 400},
		{"openai/gpt-4o", 429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`, apierror.RateLimit, 429},
		{"openai/gpt-4o", 404, `{"error":{"message":"The model 'x' does not exist","type":"invalid_request_error","code":"model_not_found"}}`, apierror.NotFound, 404},
		{"anthropic/claude-sonnet-4-5", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 250000 tokens > 200000 maximum"}}`, apierror.ContextLength, 400},
		{"anthropic/claude-sonnet-4-5", 529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, apierror.Overloaded, 500},
		{"azure/d", 400, `{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, apierror.ContentPolicy, 400},
		{"azure/d", 400, `{"error":{"message":"Filtered.","code":"BadRequest","innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, apierror.ContentPolicy, 400},
		{"azure/d", 401, `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}`, apierror.Unauthenticated, 401},
		{"azure/d", 404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`, apierror.NotFound, 404},
		{"azure/d", 429, `{"error":{"code":"RateLimitReached","message":"Requests have exceeded the token rate limit."}}`, apierror.RateLimit, 429},
		{"cohere/c", 400, `{"message":"too many tokens: total number of tokens in the prompt cannot exceed 128000 - received 130000."}`, apierror.ContextLength, 400},
		{"cohere/c", 401, `{"id":"x","message":"invalid api token"}`, apierror.Unauthenticated, 401},
		{"cohere/c", 422, `{"id":"x","message":"invalid request: invalid role"}`, apierror.BadRequest, 422},
		{"cohere/c", 429, `{"message":"You are using a Trial key"}`, apierror.RateLimit, 429},
		{"cohere/c", 498, `{"message":"invalid token"}`, apierror.BadRequest, 400},
		{"cohere/c", 503, `{"id":"x","message":"service unavailable"}`, apierror.Overloaded, 503},
		{"ollama/l", 404, `{"error":"model \"l\" not found, try pulling it first"}`, apierror.NotFound, 404},
		{"ollama_chat/l", 400, `{"error":"the input length exceeds the context length"}`, apierror.ContextLength, 400},
		{"ollama_chat/l", 400, `{"error":"registry.ollama.ai/library/l does not support tools"}`, apierror.BadRequest, 400},
		{"ollama_chat/l", 503, `{"error":"server busy, please try again.  maximum pending requests exceeded"}`, apierror.Overloaded, 503},
		{"mistral/m", 400, `{"object":"error","message":"Prompt contains 40001 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_prompt","param":null,"code":"3051"}`, apierror.ContextLength, 400},
		{"mistral/m", 401, `{"detail":"Unauthorized"}`, apierror.Unauthenticated, 401},
		{"mistral/m", 422, `{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","x"]}]},"type":"invalid_request_error","code":null}`, apierror.BadRequest, 422},
		{"groq/g", 400, `{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, apierror.ContextLength, 400},
		{"groq/g", 413, `{"error":{"message":"Request too large for model on tokens per minute (TPM)","type":"tokens","code":"rate_limit_exceeded"}}`, apierror.RateLimit, 429},
		{"groq/g", 498, `{"error":{"message":"Flex tier capacity exceeded","type":"capacity","code":"capacity_exceeded"}}`, apierror.BadRequest, 400},
		{"together_ai/t", 422, "{\"error\":{\"message\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193.\",\"type\":\"invalid_request_error\"}}", apierror.ContextLength, 400},
		{"fireworks_ai/f", 400, `{"error":{"object":"error","type":"invalid_request_error","message":"The prompt is too long: 140000, model maximum context length: 131071"}}`, apierror.ContextLength, 400},
		{"xai/grok-4", 400, `{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 140000 tokens."}`, apierror.ContextLength, 400},
		{"perplexity/sonar", 401, `<html><head><title>401 Authorization Required</title></head></html>`, apierror.Unauthenticated, 401},
		{"openrouter/x/y", 429, `{"error":{"message":"Rate limit exceeded: free-models-per-day","code":429,"metadata":{}}}`, apierror.RateLimit, 429},
		{"openrouter/x/y", 200, `{"error":{"message":"Provider returned error","code":502}}`, apierror.Internal, 502},
		{"deepseek/d", 503, `{"error":{"message":"The server is overloaded","type":"server_error"}}`, apierror.Overloaded, 503},
		{"hosted_vllm/v", 400, `{"object":"error","message":"This model's maximum context length is 2048 tokens. However, you requested 3000 tokens","type":"BadRequestError","param":null,"code":400}`, apierror.ContextLength, 400},
		{"cerebras/c", 400, `{"message":"Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192","type":"invalid_request_error","code":"context_length_exceeded"}`, apierror.ContextLength, 400},
	} {
		target, err := New(Params{Model: c.model, APIKey: "sk-test-0123456789", APIBase: map[bool]string{true: "https://x.example.com"}[byName(ProviderOf(c.model)).base == ""]})
		if err != nil {
			t.Fatal(err)
		}
		r, _ := Parse(Chat, []byte(askWhole))
		p := target.Reply(r, "m")
		p.Begin(c.status, headers("content-type", "application/json"))
		_, got := p.Whole([]byte(c.body))
		if got == nil || got.Kind != c.kind || got.Status != c.as {
			t.Errorf("%s %d %s:\n%+v, want %s %d", c.model, c.status, c.body, got, c.kind, c.as)
		}
	}
}
