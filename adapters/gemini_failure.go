package adapters

import (
	"strings"
	"time"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

func (gemini) failure(doc *jsondoc.Doc) *failure { return googleFailure(doc) }

// googleFailure reads Google's error object, and those of the formats that partners on Vertex speak.
//
// https://cloud.google.com/apis/design/errors
func googleFailure(doc *jsondoc.Doc) *failure {
	e := doc.Get("error")
	if !e.IsObject() || e.Get("status") == "" {
		return openAIFailure(doc)
	}
	f := &failure{message: e.Get("message").Text(), typ: e.Get("status").Text()}
	f.setCode(e.Get("code"))
	if f.message == "" {
		f.quote(e)
	}
	for d := range e.Get("details").Elements() {
		switch kind := d.Get("@type").Text(); {
		case strings.HasSuffix(kind, "google.rpc.ErrorInfo"):
			if f.code == "" {
				f.code = d.Get("reason").Text()
			}
		case strings.HasSuffix(kind, "google.rpc.RetryInfo"):
			if wait, err := time.ParseDuration(d.Get("retryDelay").Text()); err == nil && wait > 0 {
				f.retry = min(wait, 24*time.Hour)
			}
		}
	}
	if f.code == "API_KEY_INVALID" || strings.Contains(f.message, "API key not valid") {
		f.status = 401 // Google says 400
	}
	return f
}
