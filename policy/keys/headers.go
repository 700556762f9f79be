package keys

import "strings"

// headers are where a key may stand, the first that is set wins; the order is LiteLLM's. Each client
// library has its own: OpenAI's sends authorization, Azure's api-key, Anthropic's x-api-key, Google's
// x-goog-api-key.
var headers = [...]string{
	"x-litellm-api-key", "authorization", "api-key", "x-api-key", "x-goog-api-key", "ocp-apim-subscription-key",
}

// FromHeaders reads the token of a request; empty: there is none. get answers "" for a header that is not
// there and is asked for lower-case names.
func FromHeaders(get func(name string) string) string {
	for _, name := range headers {
		if v := strings.TrimSpace(get(name)); v != "" {
			return token(v)
		}
	}
	return ""
}

// token strips the scheme. LiteLLM takes "Basic" like "Bearer", for clients that know no other scheme, and
// reads a key out of an AWS signature's credential. Unlike LiteLLM, a bare token is taken as it is in
// every header, and schemes in any case (RFC 9110, 11.1).
func token(value string) string {
	scheme, rest, found := strings.Cut(value, " ")
	if !found {
		if strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "basic") {
			return ""
		}
		return value
	}
	switch {
	case strings.EqualFold(scheme, "bearer"), strings.EqualFold(scheme, "basic"):
		return strings.TrimSpace(rest)
	case scheme == "AWS4-HMAC-SHA256":
		_, credential, ok := strings.Cut(rest, "Credential=")
		if !ok {
			return ""
		}
		credential = strings.TrimLeft(strings.TrimPrefix(credential, "Bearer "), " ")
		if end := strings.IndexAny(credential, "/, \t"); end >= 0 {
			credential = credential[:end]
		}
		return credential
	}
	return value
}
