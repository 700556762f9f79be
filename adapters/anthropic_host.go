package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// anthropicHost is Anthropic's API and what imitates it: x-api-key and a dated version.
//
// https://docs.anthropic.com/en/api/overview
type anthropicHost struct{}

const anthropicVersion = "2023-06-01"

func (anthropicHost) address(c *call, out *Outgoing) *apierror.Error {
	t := c.t
	out.Path = t.join("/v1/messages")
	if strings.HasSuffix(t.path, "/v1") {
		out.Path = t.path + "/messages" + t.query
	}
	version := t.version
	if version == "" {
		version = anthropicVersion
	}
	out.Headers = append(make([]Header, 0, 6+len(t.headers)),
		Header{"content-type", "application/json"}, Header{"accept", accepts(c.r)},
		Header{"anthropic-version", version})
	betas := anthropicBetas(c)
	switch {
	case strings.HasPrefix(t.key, "sk-ant-oat"):
		// A subscription's token is no API key.
		out.Headers = append(out.Headers, Header{"authorization", "Bearer " + t.key})
		betas = append(betas, "oauth-2025-04-20")
	case t.key != "":
		out.Headers = append(out.Headers, Header{"x-api-key", t.key})
	}
	out.Headers = c.withExtra(out.Headers)
	if len(betas) > 0 {
		out.Headers = withBetas(out.Headers, betas)
	}
	return nil
}

// structuredOutputs is the feature of answers that follow a JSON schema.
const structuredOutputs = "structured-outputs-2025-11-13"

// anthropicBetas are the API features that a request uses and has to name.
func anthropicBetas(c *call) []string {
	var betas []string
	if c.get("response_format").At("json_schema", "schema").IsObject() && claudeOf(c.model).structured() {
		betas = append(betas, structuredOutputs)
	}
	for tool := range c.get("tools").Elements() {
		kind := tool.Get("type").Text()
		for _, b := range toolBetas {
			if strings.HasPrefix(kind, b.prefix) && !slices.Contains(betas, b.beta) {
				betas = append(betas, b.beta)
			}
		}
	}
	if c.get("mcp_servers") != "" {
		betas = append(betas, "mcp-client-2025-04-04")
	}
	if c.get("context_management") != "" {
		betas = append(betas, "context-management-2025-06-27")
	}
	if c.r.facts&hasParts != 0 && strings.Contains(string(c.get("messages")), `"file_id"`) {
		betas = append(betas, "files-api-2025-04-14")
	}
	return betas
}

var toolBetas = []struct{ prefix, beta string }{
	{"computer_20241022", "computer-use-2024-10-22"},
	{"computer_20250124", "computer-use-2025-01-24"},
	{"computer_20251124", "computer-use-2025-11-24"},
	{"code_execution_", "code-execution-2025-08-25"},
	{"web_fetch_", "web-fetch-2025-09-10"},
	{"memory_", "context-management-2025-06-27"},
	{"tool_search_tool_", "advanced-tool-use-2025-11-20"},
	{"mcp", "mcp-client-2025-04-04"},
}

// withBetas adds to anthropic-beta, which extra_headers may have set.
func withBetas(headers []Header, betas []string) []Header {
	for i := range headers {
		if headers[i].Name != "anthropic-beta" {
			continue
		}
		for _, b := range betas {
			if !strings.Contains(headers[i].Value, b) {
				headers[i].Value += "," + b
			}
		}
		return headers
	}
	return append(headers, Header{"anthropic-beta", strings.Join(betas, ",")})
}
