package adapters

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// azureVersion is LiteLLM's default for api_version.
const azureVersion = "2025-02-01-preview"

// azureSettings are where LiteLLM and Azure's own SDKs look for what a deployment does not say.
var azureSettings = map[string][]string{
	"api_base": {"AZURE_API_BASE"}, "api_version": {"AZURE_API_VERSION"}, "azure_ad_token": {"AZURE_AD_TOKEN"},
	"tenant_id": {"AZURE_TENANT_ID"}, "client_id": {"AZURE_CLIENT_ID"}, "client_secret": {"AZURE_CLIENT_SECRET"},
	"azure_scope": {"AZURE_SCOPE"}, "azure_authority_host": {"AZURE_AUTHORITY_HOST"},
	"azure_federated_token_file": {"AZURE_FEDERATED_TOKEN_FILE"},
	"identity_endpoint":          {"IDENTITY_ENDPOINT"}, "identity_header": {"IDENTITY_HEADER"},
}

var azureAISettings = func() map[string][]string {
	m := maps.Clone(azureSettings)
	m["api_base"], m["api_version"] = []string{"AZURE_AI_API_BASE"}, []string{"AZURE_AI_API_VERSION"}
	return m
}()

// azureHost is Azure OpenAI: a path per deployment, a dated API version, and the key in api-key or a token
// of Entra's.
//
// https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference
type azureHost struct{}

func (azureHost) address(c *call, out *Outgoing) *apierror.Error {
	t := c.t
	verb := openAIVerb(c.r.op)
	base := strings.TrimSuffix(t.path, verb)
	version := t.version
	if version == "" {
		version = azureVersion
	}
	switch {
	case strings.Contains(base, "/openai/deployments/"):
		out.Path = base + verb
	case strings.HasSuffix(base, "/openai/v1"), isAzureV1(version):
		// The surface without versions: the model is in the body alone.
		out.Path = strings.TrimSuffix(strings.TrimSuffix(base, "/v1"), "/openai") + "/openai/v1" + verb
		if !isAzureV1(version) || version == "v1" {
			version = ""
		}
	default:
		out.Path = strings.TrimSuffix(base, "/openai") + "/openai/deployments/" + pathSegment(azureDeployment(c.model)) + verb
	}
	out.Path += azureQuery(t.query, version)
	return t.azureHeaders(c, out, "api-key", "")
}

// azureHeaders fills in the headers: the key under the name given, or a token as a bearer.
func (t *Target) azureHeaders(c *call, out *Outgoing, name, scheme string) *apierror.Error {
	out.Headers = append(make([]Header, 0, 4+len(t.headers)),
		Header{"content-type", "application/json"}, Header{"accept", accepts(c.r)})
	switch {
	case t.key != "":
		out.Headers = append(out.Headers, Header{name, scheme + t.key})
	case t.bearer != "":
		out.Headers = append(out.Headers, Header{"authorization", "Bearer " + t.bearer})
	case t.tokens != nil:
		token, err := t.tokens.token()
		if err != nil {
			err.Provider = t.p.name
			return err
		}
		out.Headers = append(out.Headers, Header{"authorization", "Bearer " + token})
	}
	out.Headers = c.withExtra(out.Headers)
	return nil
}

func isAzureV1(version string) bool {
	return version == "v1" || version == "latest" || version == "preview"
}

// azureQuery adds the version to the base's own query, whose version wins.
func azureQuery(query, version string) string {
	switch {
	case version == "" || strings.Contains(query, "api-version="):
		return query
	case query == "":
		return "?api-version=" + version
	}
	return query + "&api-version=" + version
}

// pathSegment encodes a name that a client may have chosen, so that it is one step of a path, and none up.
func pathSegment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}

// azureDeployment is a deployment's name without the prefix that only says what model it is.
func azureDeployment(model string) string {
	return strings.TrimPrefix(strings.TrimPrefix(model, "o_series/"), "gpt5_series/")
}

// azureAIHost is Azure AI Foundry's API in OpenAI's format, for models of others.
//
// https://learn.microsoft.com/en-us/azure/ai-foundry/foundry-models/concepts/endpoints
type azureAIHost struct{}

func (azureAIHost) address(c *call, out *Outgoing) *apierror.Error {
	t := c.t
	verb := openAIVerb(c.r.op)
	if c.r.op == Rerank {
		verb = "/v1/rerank"
	}
	host := strings.ToLower(t.endpoint.Host)
	switch {
	case strings.HasSuffix(t.path, verb):
		out.Path = t.path
	case strings.HasSuffix(host, "services.ai.azure.com") && c.r.op != Rerank && !strings.HasSuffix(t.path, "/models"):
		out.Path = t.path + "/models" + verb
	default:
		out.Path = t.path + verb
	}
	out.Path += azureQuery(t.query, t.version)
	if strings.HasSuffix(host, "services.ai.azure.com") || strings.HasSuffix(host, ".openai.azure.com") ||
		strings.HasSuffix(host, ".cognitiveservices.azure.com") {
		return t.azureHeaders(c, out, "api-key", "")
	}
	return t.azureHeaders(c, out, "authorization", "Bearer ")
}

// azureSetup takes the credentials that are no API key.
func azureSetup(t *Target, p *Params) error {
	if v := t.version; strings.ContainsAny(v, " &?#/%") || headerValue(v) != nil {
		return errors.New("api_version: not a version such as 2024-10-21")
	}
	if t.key != "" {
		return nil
	}
	if token := p.Settings["azure_ad_token"]; token != "" && !strings.HasPrefix(token, "oidc/") && p.Settings["client_secret"] == "" {
		t.bearer = token
	}
	tokens, err := entraSource(p.Settings)
	if err != nil {
		return err
	}
	if t.tokens = tokens; tokens == nil && t.bearer == "" && !t.hasHeader("authorization") && !t.hasHeader("api-key") {
		t.missing = t.p.env[0]
	}
	return nil
}

var (
	// azureNot are parameters of OpenAI's that Azure's chat API refuses, for models that do not reason.
	azureNot = []string{
		"service_tier", "safety_identifier", "prompt_cache_retention", "reasoning_effort", "thinking", "verbosity",
		"context_management",
	}
	azureNotO = []string{"logprobs", "top_logprobs", "top_p", "presence_penalty", "frequency_penalty", "thinking", "verbosity"}
	// azureNotSampling is for a gpt-5 that was told not to reason.
	azureNotSampling = []string{"thinking", "context_management"}
	azureNotGPT5     = []string{
		"logprobs", "top_logprobs", "top_p", "presence_penalty", "frequency_penalty", "stop", "logit_bias", "modalities",
		"prediction", "audio", "web_search_options", "thinking", "context_management",
	}
)

// azure are the rules of Azure's deployments, whose names say less about the model than base_model does.
//
// https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/reasoning
func azure(c *call) *apierror.Error {
	model := c.azureModel()
	not := azureNot
	switch name := model[strings.LastIndexByte(model, '/')+1:]; {
	case isGPT5(model) || strings.Contains(model, "gpt5_series"):
		not = azureNotGPT5
		c.rename("max_tokens", "max_completion_tokens")
		samples, err := c.gpt5Effort(model)
		if err != nil {
			return err
		}
		if samples {
			not = azureNotSampling
		}
	case isAzureO(model):
		not = azureNotO
		c.rename("max_tokens", "max_completion_tokens")
	case strings.Contains(name, "gpt-5"): // gpt-5-chat, which does not reason
		c.rename("max_tokens", "max_completion_tokens")
	case strings.Contains(name, "gpt-3.5") || strings.Contains(name, "gpt-35"):
		if err := c.schemaAsTool(); err != nil {
			return err
		}
	}
	own := slices.Contains(not, "top_p") // the model samples as it likes
	if err := c.unsupported(func(name string) bool {
		return slices.Contains(not, name) || own && name == "temperature" && !isOne(c.get(name))
	}); err != nil {
		return err
	}
	return c.azureDated()
}

// azureModel is what a deployment runs, as far as one can tell.
func (c *call) azureModel() string {
	if c.t.baseModel != "" {
		return c.t.baseModel
	}
	return c.model
}

// isAzureO tells whether a deployment runs a model of the o-series.
func isAzureO(model string) bool {
	name := model[strings.LastIndexByte(model, '/')+1:]
	return namesAny(name, []string{"o1", "o3", "o4"}) || strings.HasPrefix(model, "o_series/")
}

// azureChats tells the deployments that only chat, which are all but those of the old completion models.
func azureChats(deployment string) bool {
	return !namesAny(deployment, []string{"instruct", "davinci", "babbage"})
}

// azureDated refuses what older API versions do not have.
func (c *call) azureDated() *apierror.Error {
	version := c.t.version
	if len(version) < len("2024-10-21") || version[4] != '-' {
		return nil
	}
	if version[:len("2024-10")] < "2024-08" && !c.byTool {
		if c.get("response_format").Get("type").Is("text") {
			c.set("response_format", "") // it says nothing, and LiteLLM does not send it
		}
		if err := c.schemaAsTool(); err != nil {
			return err
		}
	}
	if choice := c.get("tool_choice"); version < "2023-12-01" && choice != "" || choice.Is("required") && version >= "2024" && version < "2024-06" {
		return c.unsupportedField("tool_choice")
	}
	return nil
}
