package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"unicode"

	"github.com/sluicegw/sluice/internal/apierror"
)

// fail writes an error. Headers that are already out are not a reason to panic: the client then sees a
// short body.
func fail(w http.ResponseWriter, e *apierror.Error) {
	w.Header().Set("content-type", "application/json")
	if e.RetryAfter > 0 {
		w.Header().Set("retry-after", e.RetryAfterSeconds())
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(e.JSON())
}

// answer writes a JSON body.
func answer(w http.ResponseWriter, status int, v any) *apierror.Error {
	b, err := json.Marshal(v)
	if err != nil {
		return apierror.New(apierror.Internal, http.StatusInternalServerError, "sluice could not write its answer: %v", err)
	}
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
	return nil
}

// litellmPaths are the first parts, after /v1, of paths that LiteLLM serves and sluice does not (yet).
var litellmPaths = []string{
	"budget", "cache", "callback", "config", "credentials", "customer", "end_user", "global", "guardrails", "health",
	"invitation", "key", "mcp", "model", "model_group", "organization", "project", "rag", "search_tools", "spend", "sso",
	"tag", "team", "ui", "user", "utils", "vector_store",
	"assistants", "audio", "batches", "containers", "files", "fine_tuning", "images", "messages", "moderations", "ocr",
	"realtime", "responses", "search", "threads", "vector_stores", "videos",
}

func notFound(path string) *apierror.Error {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, "/"), "v1/"), "/")
	for _, p := range litellmPaths {
		if first == p {
			return apierror.New(apierror.NotFound, http.StatusNotFound,
				"%s is part of LiteLLM's API, but this version of sluice does not have it. GET / lists what there is.", printable(path))
		}
	}
	return apierror.New(apierror.NotFound, http.StatusNotFound, "There is no %s here. GET / lists what there is.", printable(path))
}

// printable is a client's text, fit for an error and a log line.
func printable(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
