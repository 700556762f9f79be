package adapters

import (
	"slices"
	"strings"
)

// Bounds of a request's extra_headers.
const (
	mostClientHeaders = 32
	mostClientHeader  = 4 << 10 // bytes of a value
)

// reservedHeaders are the deployment's to set, or the gateway's own: credentials, accounts, and what steers Envoy.
var reservedHeaders = append([]string{
	"authorization", "api-key", "cookie", "openai-organization", "openai-project", "accept-encoding", "content-encoding",
	"x-request-id", "x-api-key", "x-goog-api-key", "x-goog-user-project", "forwarded", "via",
}, framingHeaders...)

// headers are the extra headers of a call: the deployment's and, beside them, those that the client asks for by
// extra_headers. A name that is the deployment's or is reserved is not the client's to set: it is left out.
func (c *call) headers() []Header {
	extra := c.r.doc.Get("extra_headers")
	if !extra.IsObject() {
		return c.t.headers
	}
	list := slices.Clip(c.t.headers)
	for k, v := range extra.Members() {
		name, value := strings.ToLower(k.Text()), v.Text()
		if len(list)-len(c.t.headers) == mostClientHeaders {
			break
		}
		if !isToken(name) || !v.IsString() || len(value) > mostClientHeader || headerValue(value) != nil || isReserved(name) ||
			slices.ContainsFunc(list, func(h Header) bool { return h.Name == name }) {
			continue
		}
		list = append(list, Header{name, value})
	}
	return list
}

func isReserved(name string) bool {
	for _, p := range [...]string{"x-envoy-", "x-sluice-", "x-litellm-", "x-forwarded-", "x-amz-", "x-goog-", "x-original-", "x-rewrite-",
		"x-http-method", "proxy-"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return slices.Contains(reservedHeaders, name)
}
