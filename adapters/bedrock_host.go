package adapters

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/internal/apierror"
)

// bedrockHost is Amazon Bedrock's runtime API: the model in the path, requests signed with SigV4 or carrying a
// Bedrock API key, streams as AWS's binary event stream.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html
type bedrockHost struct{}

// awsTarget is what a deployment on AWS has beside what every deployment has.
type awsTarget struct {
	region string
	// modelID is asked instead of the model, which then only tells the format: the ARN of a profile, say.
	modelID     string
	credentials *awsCredentials // nil: an API key is used
	// signer keeps the keys that are derived from a day's credentials, and tells them apart by key id only: one whose
	// secret was mended needs another signer.
	signer *v4.Signer
}

// awsService is the name that Bedrock's requests are signed for.
const awsService = "bedrock"

// setup finds the region, the endpoint and the source of the credentials.
func (bedrockHost) setup(t *Target, p *Params) error {
	m := parseBedrockModel(t.model)
	set := p.Settings
	region := firstOf(set["aws_region_name"], set["region_name"], m.region, set[envRegion], "us-west-2")
	if !isRegion(region) {
		return fmt.Errorf("aws_region_name: %q is not a region such as us-east-1", clipText(region, 40))
	}
	t.aws = &awsTarget{region: region, signer: v4.NewSigner()}
	if id, ok := p.Defaults["model_id"]; ok {
		if t.aws.modelID, ok = jsonText(id); !ok {
			return fmt.Errorf("model_id: not a text")
		}
		if r := arnRegion(t.aws.modelID); r != "" && set["aws_region_name"] == "" {
			t.aws.region = r
		}
	}
	if p.APIBase == "" {
		p.APIBase = set["aws_bedrock_runtime_endpoint"]
	}
	if p.APIBase == "" {
		suffix := "amazonaws.com"
		if strings.HasPrefix(t.aws.region, "cn-") {
			suffix += ".cn"
		}
		t.own = "https://bedrock-runtime." + t.aws.region + "." + suffix
	}
	if p.APIKey != "" {
		return nil
	}
	var err error
	t.aws.credentials, err = newAWSCredentials(set, t.aws.region)
	return err
}

// envRegion is the setting that stands for the region of the environment, which is asked after the model.
const envRegion = "env_region_name"

// awsEnvironment are the variables that stand in for settings which a deployment lacks.
//
// https://docs.litellm.ai/docs/providers/bedrock
var awsEnvironment = map[string][]string{
	"aws_access_key_id":            {"AWS_ACCESS_KEY_ID"},
	"aws_secret_access_key":        {"AWS_SECRET_ACCESS_KEY"},
	"aws_session_token":            {"AWS_SESSION_TOKEN"},
	"aws_session_name":             {"AWS_SESSION_NAME"},
	"aws_profile_name":             {"AWS_PROFILE_NAME"},
	"aws_role_name":                {"AWS_ROLE_NAME"},
	"aws_web_identity_token":       {"AWS_WEB_IDENTITY_TOKEN"},
	"aws_sts_endpoint":             {"AWS_STS_ENDPOINT"},
	"aws_external_id":              {"AWS_EXTERNAL_ID"},
	"aws_bedrock_runtime_endpoint": {"AWS_BEDROCK_RUNTIME_ENDPOINT"},
	envRegion:                      {"AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"},
}

// fromEnvironment completes a deployment's settings from the environment. A deployment's own key is never paired
// with the environment's secret or session.
func (bedrockHost) fromEnvironment(set map[string]string, lookup func(string) (string, bool)) {
	ownKey := set["aws_access_key_id"] != ""
	for setting, names := range awsEnvironment {
		if set[setting] != "" || ownKey && (setting == "aws_secret_access_key" || setting == "aws_session_token") {
			continue
		}
		for _, name := range names {
			if v, ok := lookup(name); ok && v != "" {
				set[setting] = v
				break
			}
		}
	}
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

func (bedrockHost) splitter(media string) framing.Splitter {
	if media == "application/vnd.amazon.eventstream" {
		return &framing.EventStream{}
	}
	return nil
}

// address writes path and headers, and signs. What is signed are host, content-type and the x-amz headers, all of
// which arrive as they are here; the rest may change on the way.
func (bedrockHost) address(c *call, out *Outgoing) *apierror.Error {
	t := c.t
	m := parseBedrockModel(c.model)
	out.Path = t.path + "/model/" + bedrockPath(c, &m) + t.query
	accept := "application/json"
	if c.r.stream {
		accept = "application/vnd.amazon.eventstream, application/json"
	}
	out.Headers = append(make([]Header, 0, 8+len(t.headers)),
		Header{"content-type", "application/json"}, Header{"accept", accept})
	out.Headers = append(out.Headers, bedrockGuardrail(c, &m)...)
	out.Headers = c.withExtra(out.Headers)
	if m.invoked && m.format == "anthropic" && c.r.op == Chat && claudeOf(c.model).structured() && schemaOf(c) != "" {
		// The body names it, too; as with LiteLLM, those who watch the headers see it as at Anthropic.
		out.Headers = withBetas(out.Headers, []string{structuredOutputs})
	}
	switch {
	case t.hasHeader("authorization"):
		return nil
	case t.key != "":
		out.Headers = append(out.Headers, Header{"authorization", "Bearer " + t.key})
		return nil
	}
	credentials, err := t.aws.credentials.get()
	if err != nil {
		return apierror.New(apierror.Unauthenticated, http.StatusUnauthorized,
			"No AWS credentials for this deployment: %s.", err)
	}
	if err := t.aws.sign(out, t.endpoint.Scheme, credentials); err != nil {
		return apierror.New(apierror.Internal, http.StatusInternalServerError, "The request could not be signed: %s.", err)
	}
	return nil
}

// bedrockPath is the model, encoded, and the action.
func bedrockPath(c *call, m *bedrockModel) string {
	id := m.id
	if c.t.aws.modelID != "" {
		id = c.t.aws.modelID
	}
	switch {
	case c.r.op == Embedding:
		return quoteAWS(id, "") + "/invoke"
	case !m.invoked && streamsConverse(c, m):
		return quoteAWS(id, "") + "/converse-stream"
	case !m.invoked:
		return quoteAWS(id, "") + "/converse"
	}
	if !strings.HasPrefix(id, "arn:") {
		id = quoteAWS(id, ":")
	} else {
		id = quoteAWS(id, "")
	}
	if c.r.stream && m.format != "ai21" {
		return id + "/invoke-with-response-stream"
	}
	return id + "/invoke"
}

// quoteAWS encodes all but letters, digits, "_.-~" and what is in safe.
func quoteAWS(s, safe string) string {
	const hexDigits = "0123456789ABCDEF"
	plain := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			strings.IndexByte("_.-~", c) >= 0 || strings.IndexByte(safe, c) >= 0
	}
	out := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		if plain(s[i]) {
			out = append(out, s[i])
		} else {
			out = append(out, '%', hexDigits[s[i]>>4], hexDigits[s[i]&15])
		}
	}
	if dots := string(out); dots == "." || dots == ".." {
		return strings.ReplaceAll(dots, ".", "%2E")
	}
	return string(out)
}

// sign adds the headers of a SigV4 signature over what out sends.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
func (t *awsTarget) sign(out *Outgoing, scheme string, credentials aws.Credentials) error {
	u, err := url.Parse(scheme + "://" + out.Authority + out.Path)
	if err != nil {
		return fmt.Errorf("its path makes no URL")
	}
	out.Headers = slices.DeleteFunc(out.Headers, func(h Header) bool {
		return h.Name == "x-amz-date" || h.Name == "x-amz-security-token"
	})
	req := &http.Request{Method: out.Method, URL: u, Host: out.Authority, Header: http.Header{}}
	for _, h := range out.Headers {
		if h.Name == "content-type" || strings.HasPrefix(h.Name, "x-amz-") || strings.HasPrefix(h.Name, "x-amzn-") {
			req.Header.Set(h.Name, h.Value)
		}
	}
	sum := sha256.Sum256(out.Body)
	if err := t.signer.SignHTTP(context.Background(), credentials, req, hex.EncodeToString(sum[:]), awsService, t.region, clock()); err != nil {
		return fmt.Errorf("signing failed")
	}
	for _, name := range [...]string{"X-Amz-Date", "X-Amz-Security-Token", "Authorization"} {
		if v := req.Header.Get(name); v != "" {
			out.Headers = append(out.Headers, Header{strings.ToLower(name), v})
		}
	}
	return nil
}

// hear notes what Bedrock tells in headers: the kind of an error, and InvokeModel's counts.
func (bedrockHost) hear(p *Reply, header func(string) string) {
	kind, _, _ := strings.Cut(header("x-amzn-errortype"), ":")
	p.heard.errorType = strings.TrimSpace(kind)
	p.heard.input, _ = strconv.ParseInt(header("x-amzn-bedrock-input-token-count"), 10, 64)
	p.heard.output, _ = strconv.ParseInt(header("x-amzn-bedrock-output-token-count"), 10, 64)
}
