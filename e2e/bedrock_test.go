package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/sluicegw/sluice/internal/sigv4test"
)

// aws is a Bedrock that takes nothing unless its signature is true.
type aws struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // key, region, path
	bad   []string // what was wrong with requests
}

const (
	awsKey     = "AKIAE2EE2EE2EE2EE2E1"
	awsSecret  = "e2e-aws-secret/0123+456=789"
	awsSession = "e2e-aws-session-token=="
	workKey    = "AKIAE2EWORKWORKWORK2"
	workSecret = "e2e-aws-work-secret-987654"
)

func newAWS(t *testing.T) *aws {
	t.Helper()
	a := &aws{}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *aws) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path, _, _ := strings.Cut(r.RequestURI, "?")
	secret := awsSecret
	if strings.Contains(r.Header.Get("authorization"), workKey) {
		secret = workSecret
	}
	s, err := sigv4test.Verify(r, path, body, secret)
	a.mu.Lock()
	a.asked = append(a.asked, s.KeyID+" "+s.Region+" "+path)
	if err != nil {
		a.bad = append(a.bad, err.Error())
	}
	if s.KeyID == awsKey && r.Header.Get("x-amz-security-token") != awsSession {
		a.bad = append(a.bad, "the session token did not arrive")
	}
	a.mu.Unlock()
	if err != nil {
		w.Header().Set("x-amzn-errortype", "InvalidSignatureException")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"message":"The request signature does not match."}`)
		return
	}
	switch {
	case strings.Contains(path, "broken"):
		w.Header().Set("x-amzn-errortype", "InternalServerException")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"message":"Try again."}`)
	case strings.HasSuffix(path, "/converse-stream"):
		streamFrames(w)
	case strings.HasSuffix(path, "/converse"):
		w.Header().Set("content-type", "application/json")
		fmt.Fprint(w, `{"output":{"message":{"role":"assistant","content":[{"text":"Hello."}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}`)
	case strings.Contains(path, "titan-embed"):
		// The vector tells which text it is of.
		fmt.Fprintf(w, `{"embedding":[%d.5],"inputTextTokenCount":1}`, bytes.Count(body, []byte("z")))
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// streamFrames sends frames in pieces of a few bytes.
func streamFrames(w http.ResponseWriter) {
	w.Header().Set("content-type", "application/vnd.amazon.eventstream")
	var out bytes.Buffer
	for _, ev := range [][2]string{
		{"messageStart", `{"role":"assistant"}`},
		{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Hel"}}`},
		{"contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"lo."}}`},
		{"contentBlockStop", `{"contentBlockIndex":0}`},
		{"messageStop", `{"stopReason":"end_turn"}`},
		{"metadata", `{"usage":{"inputTokens":3,"outputTokens":2,"totalTokens":5}}`},
	} {
		m := eventstream.Message{Payload: []byte(ev[1])}
		m.Headers.Set(":event-type", eventstream.StringValue(ev[0]))
		m.Headers.Set(":message-type", eventstream.StringValue("event"))
		_ = eventstream.NewEncoder().Encode(&out, m)
	}
	for piece := range slices.Chunk(out.Bytes(), 50) {
		_, _ = w.Write(piece)
		w.(http.Flusher).Flush()
	}
}

// TestBedrock sends signed requests through Envoy: whole, streamed, by a second attempt, with an ARN in the path, with
// keys, with a session and with a profile.
func TestBedrock(t *testing.T) {
	secrets = append(secrets, awsSecret, awsSession, workSecret)
	a := newAWS(t)
	profile := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(profile, []byte("[work]\naws_access_key_id = "+workKey+"\naws_secret_access_key = "+workSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := "aws_access_key_id: " + awsKey + ", aws_secret_access_key: " + awsSecret + ", aws_session_token: " + awsSession
	g := startWith(t, []string{"AWS_SHARED_CREDENTIALS_FILE=" + profile, "AWS_REGION=eu-west-3"}, `
general_settings: {master_key: `+masterKey+`}
model_list:
  - {model_name: nova, litellm_params: {model: "bedrock/us.amazon.nova-pro-v1:0", aws_bedrock_runtime_endpoint: `+a.URL+`, aws_region_name: us-east-1, `+keys+`}}
  - {model_name: arn, litellm_params: {model: "bedrock/arn:aws:bedrock:ap-south-1:123456789012:application-inference-profile/abc", api_base: `+a.URL+`/base, `+keys+`}}
  - {model_name: work, litellm_params: {model: bedrock/us.anthropic.claude-opus-4-8, api_base: `+a.URL+`, aws_profile_name: work}}
  - {model_name: again, litellm_params: {model: bedrock/broken.model, api_base: `+a.URL+`, order: 1, `+keys+`}}
  - {model_name: again, litellm_params: {model: "bedrock/eu-west-1/meta.llama3-3-70b-instruct-v1:0", api_base: `+a.URL+`, order: 2, `+keys+`}}
  - {model_name: lost, litellm_params: {model: bedrock/us.anthropic.claude-opus-4-8, api_base: `+a.URL+`, aws_profile_name: nobody}}
  - {model_name: titan, litellm_params: {model: "bedrock/amazon.titan-embed-text-v2:0", api_base: `+a.URL+`, `+keys+`}}
`)
	t.Cleanup(g.stop)
	g.showOnFailure(t)
	ask := func(path, body string) answer {
		return requestTo(t, g, http.MethodPost, path, strings.NewReader(body), "content-type", "application/json", "authorization", "Bearer "+masterKey)
	}
	for _, m := range []string{"nova", "arn", "work", "again"} {
		if got := ask(completions, question(m)); got.status != http.StatusOK || !strings.Contains(got.body, `"content":"Hello."`) {
			t.Errorf("%s: %d %s", m, got.status, got.body)
		}
		got := ask(completions, question(m, `"stream":true,"stream_options":{"include_usage":true}`))
		if !strings.Contains(got.body, `"content":"lo."`) || !strings.Contains(got.body, `"total_tokens":5`) || !strings.HasSuffix(got.body, "data: [DONE]\n\n") {
			t.Errorf("%s in a stream: %d %s", m, got.status, got.body)
		}
	}
	if got := ask(completions, question("lost")); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "credentials") {
		t.Errorf("without credentials: %d %s", got.status, got.body)
	}
	if got := ask("/v1/embeddings", `{"model":"titan","input":"zz"}`); got.status != http.StatusOK || !strings.Contains(got.body, `"embedding":[2.5]`) {
		t.Errorf("embedding: %d %s", got.status, got.body)
	}
	if got := ask("/v1/embeddings", `{"model":"titan","input":["z","zz","","zzz"]}`); got.status != http.StatusOK ||
		!strings.Contains(got.body, `"index":1,"embedding":[2.5]`) || !strings.Contains(got.body, `"index":3,"embedding":[3.5]`) ||
		!strings.Contains(got.body, `"total_tokens":4`) || got.header.Get("x-litellm-model-api-base") != a.URL {
		t.Errorf("embeddings: %d %v %s", got.status, got.header, got.body)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, wrong := range a.bad {
		t.Error(wrong)
	}
	for _, want := range []string{
		awsKey + " us-east-1 /model/us.amazon.nova-pro-v1%3A0/converse",
		awsKey + " us-east-1 /model/us.amazon.nova-pro-v1%3A0/converse-stream",
		awsKey + " ap-south-1 /base/model/arn%3Aaws%3Abedrock%3Aap-south-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse",
		workKey + " eu-west-3 /model/us.anthropic.claude-opus-4-8/converse",
		awsKey + " eu-west-3 /model/broken.model/converse",
		awsKey + " eu-west-1 /model/meta.llama3-3-70b-instruct-v1%3A0/converse",
	} {
		if !slices.Contains(a.asked, want) {
			t.Errorf("not asked: %s\nof %q", want, a.asked)
		}
	}
}
