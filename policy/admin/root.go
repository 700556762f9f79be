package admin

import (
	"html/template"
	"net/http"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

type path struct {
	Path string `json:"path"`
	What string `json:"what"`
}

var paths = []path{
	{"POST /v1/chat/completions", "chat, plain or streamed, in OpenAI's format"},
	{"POST /v1/completions", "text completion"},
	{"POST /v1/embeddings", "embeddings"},
	{"POST /v1/rerank", "reranking, in Cohere's format"},
	{"GET /v1/models", "the models that your key may use"},
	{"POST /utils/token_counter", "how many tokens a prompt has"},
	{"GET /health", "with a key: asks the models; without: counts what calls have shown"},
	{"GET /health/events", "which deployments are out, why and until when; what happened before"},
	{"GET /health/explain?model=", "what a call to a model would try, and why"},
	{"GET /health/readiness", "may traffic come?"},
	{"GET /health/liveliness", "does the process run?"},
	{"POST /key/generate", "virtual keys; also /team, /user, /customer, /budget and /model, as LiteLLM has them"},
	{"GET /spend/logs", "what calls cost; also /spend/tags, /global/spend/report and others, as LiteLLM has them"},
	{"GET /metrics", "Prometheus metrics"},
}

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>sluice</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color:#222;background:#fff}
code{background:#f2f2f2;padding:.1em .3em}dt{margin-top:.6rem}dd{margin:0;color:#555}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}code{background:#2a2a2a}dd{color:#aaa}}</style>
<h1>sluice {{.Version}}</h1>
<p>An LLM gateway: OpenAI's API in front of many providers. Point a client's base URL at this address
and give it your key.</p>
<dl>{{range .Paths}}<dt><code>{{.Path}}</code><dd>{{.What}}{{end}}</dl>
</html>
`))

// root says what this is: to a browser as a page, to others as JSON.
func (s *Server) root(w http.ResponseWriter, r *http.Request) *apierror.Error {
	if !strings.Contains(r.Header.Get("accept"), "text/html") {
		return answer(w, http.StatusOK, struct {
			Name    string `json:"name"`
			Version string `json:"version,omitempty"`
			Paths   []path `json:"paths"`
		}{"sluice", s.o.Version, paths})
	}
	w.Header().Set("content-type", "text/html; charset=utf-8")
	w.Header().Set("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")
	if err := page.Execute(w, struct {
		Version string
		Paths   []path
	}{s.o.Version, paths}); err != nil { // the client is gone
		s.o.Log.Debug("the start page was not delivered", "error", err)
	}
	return nil
}

// metrics are open to whoever can reach the port, as LiteLLM's are, unless the configuration closes them.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) *apierror.Error {
	if snap := s.o.Snapshot(); snap != nil && snap.MetricsNeedKey {
		if _, _, err := s.authenticate(r); err != nil {
			return err
		}
	}
	s.o.Metrics.ServeHTTP(w, r)
	return nil
}
