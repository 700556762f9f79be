package keys

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// routeGroups are LiteLLM's names for several paths, as allowed_routes may have them (LiteLLMRoutes in
// proxy/_types.py), with the paths that sluice has. A path with {…} stands for any in its place, one that ends in /*
// for all below it.
var routeGroups = map[string][]string{
	"openai_routes":    modelRoutes,
	"anthropic_routes": {"/v1/messages", "/v1/messages/count_tokens"},
	"google_routes":    {"/v1beta/models/*", "/models/{model}:generateContent", "/models/{model}:streamGenerateContent", "/models/{model}:countTokens"},
	"llm_api_routes": slices.Concat(modelRoutes, []string{
		"/v1/messages", "/v1/messages/count_tokens", "/v1beta/models/*", "/model/info", "/v1/model/info", "/model_group/info"}),
	"info_routes": {
		"/key/info", "/team/info", "/team/list", "/user/info", "/model/info", "/v1/model/info", "/v2/model/info", "/model_group/info",
		"/v2/key/info", "/health", "/key/list", "/models", "/v1/models"},
	"key_management_routes":        {"/key/*"},
	"management_routes":            {"/key/*", "/team/*", "/user/*", "/model/*"},
	"spend_tracking_routes":        {"/spend/*"},
	"global_spend_tracking_routes": {"/global/*"},
	"public_routes":                {"/", "/health/liveliness", "/health/liveness", "/health/readiness"},
}

var modelRoutes = []string{
	"/v1/chat/completions", "/chat/completions", "/v1/completions", "/completions", "/v1/embeddings", "/embeddings",
	"/v1/images/generations", "/images/generations", "/v1/rerank", "/rerank", "/v2/rerank", "/v1/moderations", "/moderations",
	"/v1/audio/transcriptions", "/audio/transcriptions", "/v1/audio/speech", "/audio/speech", "/v1/responses", "/responses",
	"/v1/models", "/models", "/v1/models/{model}", "/models/{model}",
	"/openai/deployments/*", "/engines/*",
}

// Route is nil if the key may call a path, by its allowed_routes alone.
func (r *Keyring) Route(k *Key, path string) *apierror.Error {
	if len(k.AllowedRoutes) == 0 {
		return nil
	}
	for _, allowed := range k.AllowedRoutes {
		if path == allowed || strings.HasPrefix(path, allowed+"/") {
			return nil
		}
		if slices.ContainsFunc(routeGroups[allowed], func(p string) bool { return routeMatches(p, path) }) {
			return nil
		}
		if prefix, ok := strings.CutSuffix(allowed, "*"); ok && strings.HasPrefix(path, prefix) {
			return nil
		}
	}
	return &apierror.Error{
		Kind: apierror.Forbidden, Status: http.StatusForbidden, Type: "auth_error", Param: "None",
		Message: "Virtual key is not allowed to call this route. Only allowed to call routes: " + pythonList(k.AllowedRoutes) +
			". Tried to call route: " + printable(cut(path)),
	}
}

// routeMatches tells whether a path is one of a pattern's.
func routeMatches(pattern, path string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	before, rest, ok := strings.Cut(pattern, "{")
	if !ok {
		return pattern == path
	}
	_, after, _ := strings.Cut(rest, "}")
	return strings.HasPrefix(path, before) && strings.HasSuffix(path, after) && len(path) > len(before)+len(after)
}

// pythonList writes a list as Python prints one.
func pythonList(list []string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, s := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("'" + printable(cut(s)) + "'")
	}
	b.WriteByte(']')
	return b.String()
}
