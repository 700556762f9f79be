// Package sigv4test verifies AWS signatures as AWS's servers do, for tests.
//
// It was written from AWS's description alone and shares no code with what signs. It leaves alone whether a request
// makes sense.
package sigv4test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Signature is what a request says about who signed it, and for what.
type Signature struct {
	KeyID, Date, Region, Service string
	Headers                      []string // the signed ones, in lower case
}

// Verify recomputes the signature of a request as it arrived. path is the request target before any decoding,
// without its query. A request that was changed on its way, or signed with another secret, is an error.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func Verify(r *http.Request, path string, body []byte, secret string) (Signature, error) {
	var s Signature
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return s, errors.New("the request is not signed")
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[k] = v
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return s, fmt.Errorf("credential scope %q", fields["Credential"])
	}
	s = Signature{KeyID: scope[0], Date: scope[1], Region: scope[2], Service: scope[3],
		Headers: strings.Split(fields["SignedHeaders"], ";")}
	if !slices.IsSorted(s.Headers) || !slices.Contains(s.Headers, "host") {
		return s, fmt.Errorf("signed headers %q", fields["SignedHeaders"])
	}
	at := r.Header.Get("X-Amz-Date")
	if when, err := time.Parse("20060102T150405Z", at); err != nil || when.Format("20060102") != s.Date {
		return s, fmt.Errorf("x-amz-date %q in scope %q", at, s.Date)
	}
	for name := range r.Header {
		lower := strings.ToLower(name)
		if (strings.HasPrefix(lower, "x-amz-") || lower == "content-type") && !slices.Contains(s.Headers, lower) {
			return s, fmt.Errorf("%s is not signed", lower)
		}
	}
	canonical := canonicalRequest(r, path, body, s.Headers)
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", at, strings.Join(scope[1:], "/"), sum(canonical)}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range append(slices.Clone(scope[1:4]), "aws4_request") {
		key = mac(key, part)
	}
	if want := hex.EncodeToString(mac(key, toSign)); want != fields["Signature"] {
		return s, fmt.Errorf("the signature does not match; canonical request:\n%s", canonical)
	}
	return s, nil
}

func canonicalRequest(r *http.Request, path string, body []byte, signed []string) string {
	var headers strings.Builder
	for _, name := range signed {
		values := r.Header.Values(name)
		if name == "host" {
			values = []string{r.Host}
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.Join(trimmed, ","))
	}
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" {
		payload = sum(string(body))
	}
	// For every service but S3 the path is encoded once more than it is sent.
	return strings.Join([]string{r.Method, encode(path), "", headers.String(), strings.Join(signed, ";"), payload}, "\n")
}

// encode is AWS's UriEncode of a path.
func encode(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}
