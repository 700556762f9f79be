package adapters

import (
	"crypto/sha256"
	"errors"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// vertexHost is Vertex AI: a host for each region, paths with the project, and a service account's token.
//
// https://cloud.google.com/vertex-ai/docs/reference/rest
type vertexHost struct{}

// vertexTarget is what a deployment on Vertex AI has beside the others.
type vertexTarget struct {
	project, location string
	custom            bool // api_base was given
}

// defaultLocation is LiteLLM's, and the region that most models are in.
const defaultLocation = "us-central1"

// vertexVariables are the environment variables that stand in for settings.
var vertexVariables = [...]struct {
	setting   string
	variables []string
}{
	{"project", []string{"VERTEXAI_PROJECT", "VERTEX_PROJECT"}},
	{"location", []string{"VERTEXAI_LOCATION", "VERTEX_LOCATION"}},
	{"credentials", []string{"VERTEXAI_CREDENTIALS", "VERTEX_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS"}},
}

func (vertexHost) fromEnvironment(set map[string]string, lookup func(name string) (string, bool)) {
	for _, v := range vertexVariables {
		name := "vertex_" + v.setting
		for _, variable := range v.variables {
			if set[name] == "" && set["vertex_ai_"+v.setting] == "" {
				set[name], _ = lookup(variable)
			}
		}
	}
}

func (vertexHost) setup(t *Target, p *Params) error {
	setting := func(name string) string {
		return strings.TrimSpace(firstOf(p.Settings["vertex_"+name], p.Settings["vertex_ai_"+name]))
	}
	v := &vertexTarget{project: setting("project"), location: setting("location"), custom: p.APIBase != ""}
	t.vertex = v
	if v.location == "" {
		v.location = locationOf(t.model)
	}
	if !isLocation(v.location) {
		return errors.New("vertex_location: not a location: write it like us-central1, europe-west1 or global")
	}
	t.own = vertexBase(v.location)
	key, err := readCredentials(setting("credentials"))
	if err != nil {
		return err
	}
	v.project = firstOf(v.project, key.ProjectID, key.QuotaProjectID)
	if v.project == "" {
		return errors.New("vertex_project: missing: set it, or VERTEXAI_PROJECT, to the id of the Google Cloud project")
	}
	if _, bad := modelPath(v.project); bad != nil || strings.Contains(v.project, "/") {
		return errors.New("vertex_project: not the id of a Google Cloud project")
	}
	for name := range p.ExtraHeaders {
		if strings.EqualFold(name, "authorization") {
			return nil // it brings its own
		}
	}
	if t.key == "" { // a key is taken for a token that somebody else renews
		t.tokens = tokensOf(sha256.Sum256(append([]byte("google "), key.text...)), key.fetch)
	}
	return nil
}

// locationOf is where a model is served if the deployment does not say.
func locationOf(model string) string {
	switch {
	case strings.HasPrefix(model, "zai-org/"), strings.HasPrefix(model, "google/gemma-"), strings.HasPrefix(model, "qwen/"),
		strings.HasPrefix(model, "deepseek-ai/deepseek-v3.2"), strings.HasPrefix(model, "deepseek-ai/deepseek-v4"):
		return "global"
	}
	return defaultLocation
}

func isLocation(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

// vertexBase is the base URL of a location: the world, a continent or a region.
//
// https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations
func vertexBase(location string) string {
	switch {
	case location == "global":
		return "https://aiplatform.googleapis.com"
	case !strings.Contains(location, "-"):
		return "https://aiplatform." + location + ".rep.googleapis.com"
	}
	return "https://" + location + "-aiplatform.googleapis.com"
}

func (vertexHost) address(c *call, out *Outgoing) *apierror.Error {
	t := c.t
	path, err := t.vertex.path(t, c)
	if err != nil {
		return err
	}
	maker := publisherOf(t.upstream(c.r.model))
	out.Path = t.withQuery(path, c.r.stream && maker != openModels)
	token := t.key
	if t.tokens != nil {
		if token, err = t.tokens.token(); err != nil {
			err.Provider = t.p.name
			return err
		}
	}
	out.Headers = append(make([]Header, 0, 6+len(t.headers)),
		Header{"content-type", "application/json"}, Header{"accept", accepts(c.r)})
	if token != "" {
		out.Headers = append(out.Headers, Header{"authorization", "Bearer " + token})
	}
	if maker == claudes {
		if token != "" {
			out.Headers = append(out.Headers, Header{"x-api-key", token}) // for proxies that speak Anthropic's way
		}
		out.Headers = append(out.Headers, Header{"anthropic-version", anthropicVersion})
	}
	out.Headers = c.withExtra(out.Headers)
	if maker == claudes {
		if betas := vertexBetas(c); len(betas) > 0 {
			out.Headers = withBetas(out.Headers, betas)
		}
	}
	return nil
}

func (vertexHost) hear(p *Reply, header func(string) string) { hearGoogle(p, header) }

// path is the path of a call, under the base URL. A base URL with a path of its own is the whole address of the
// model, but for the method.
func (v *vertexTarget) path(t *Target, c *call) (string, *apierror.Error) {
	model, err := modelPath(t.upstream(c.r.model))
	if err != nil {
		return "", err
	}
	verb, place, version := v.verb(c, publisherOf(model))
	under := "/projects/" + v.project + "/locations/" + v.location
	if place == "" { // OpenAI's format has one endpoint for all models
		return t.path + "/v1" + under + "/endpoints/openapi/chat/completions", nil
	}
	number := model[strings.LastIndexByte(model, '/')+1:]
	switch {
	case strings.Trim(number, "0123456789") == "":
		under += "/endpoints/" + number // a tuned model
	case strings.HasPrefix(model, "gemini/"):
		under += place + number
	default:
		under += place + model
	}
	switch base := t.path; base {
	case "":
		return version + under + ":" + verb, nil
	case "/v1", "/v1beta1":
		return base + under + ":" + verb, nil
	default:
		return base + ":" + verb, nil
	}
}

// verb is the method that answers a call, where the publisher's models are, and the API's version.
func (v *vertexTarget) verb(c *call, maker publisher) (verb, place, version string) {
	raw := "rawPredict"
	if c.r.stream {
		raw = "streamRawPredict"
	}
	switch maker {
	case claudes:
		return raw, "/publishers/anthropic/models/", "/v1"
	case mistralAI:
		return raw, "/publishers/mistralai/models/", "/v1"
	case ai21Labs:
		return raw, "/publishers/ai21/models/", "/v1beta1"
	case openModels:
		return "", "", ""
	}
	if c.r.op == Embedding {
		if embedsContent(c.model) {
			return "embedContent", "/publishers/google/models/", "/v1"
		}
		return "predict", "/publishers/google/models/", "/v1"
	}
	return geminiVerb(c), "/publishers/google/models/", "/v1"
}

// vertexBetas are the features that a request for Claude has to name. Vertex has fewer than Anthropic, and
// refuses names that it does not know.
func vertexBetas(c *call) []string {
	betas := claudeBetas(c)
	for tool := range c.get("tools").Elements() {
		if strings.HasPrefix(tool.Get("type").Text(), "web_search_") {
			return append(betas, "web-search-2025-03-05")
		}
	}
	if c.get("web_search_options").IsObject() {
		betas = append(betas, "web-search-2025-03-05")
	}
	return betas
}

// claudeBetas are those of them that are named in the body, too.
func claudeBetas(c *call) []string {
	var betas []string
	for _, b := range anthropicBetas(c) {
		switch b {
		case structuredOutputs, "mcp-client-2025-04-04", "files-api-2025-04-14":
		default:
			betas = append(betas, b)
		}
	}
	return betas
}
