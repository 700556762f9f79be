package adapters

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/internal/eventframes"
)

// framesOf makes AWS's binary event stream of a readable one; see [eventframes.Of].
func framesOf(tb testing.TB, text string) []byte {
	tb.Helper()
	stream, err := eventframes.Of(text)
	if err != nil {
		tb.Fatal(err)
	}
	return stream
}

func TestBedrockModels(t *testing.T) {
	for _, c := range []struct {
		model, id, region, base string
		invoked                 bool
		format                  string
	}{
		{"anthropic.claude-3-5-sonnet-20240620-v1:0", "anthropic.claude-3-5-sonnet-20240620-v1:0", "", "anthropic.claude-3-5-sonnet-20240620-v1:0", false, "anthropic"},
		{"us.anthropic.claude-opus-4-8", "us.anthropic.claude-opus-4-8", "", "anthropic.claude-opus-4-8", false, "anthropic"},
		{"us-gov.anthropic.claude-opus-4-8", "us-gov.anthropic.claude-opus-4-8", "", "anthropic.claude-opus-4-8", false, "anthropic"},
		{"converse/us-east-1/meta.llama3-3-70b-instruct-v1:0", "meta.llama3-3-70b-instruct-v1:0", "us-east-1", "meta.llama3-3-70b-instruct-v1:0", false, "meta"},
		{"us-gov-west-1/invoke/anthropic.claude-v2", "anthropic.claude-v2", "us-gov-west-1", "anthropic.claude-v2", true, "anthropic"},
		{"invoke/mistral.mistral-7b-instruct-v0:2", "mistral.mistral-7b-instruct-v0:2", "", "mistral.mistral-7b-instruct-v0:2", true, "mistral"},
		{"amazon.titan-text-express-v1", "amazon.titan-text-express-v1", "", "amazon.titan-text-express-v1", true, "amazon"},
		{"converse/amazon.titan-text-express-v1", "amazon.titan-text-express-v1", "", "amazon.titan-text-express-v1", false, "amazon"},
		{"anthropic.claude-3-5-sonnet-20241022-v2:0:51k", "anthropic.claude-3-5-sonnet-20241022-v2:0:51k", "", "anthropic.claude-3-5-sonnet-20241022-v2:0", false, "anthropic"},
		{"us.anthropic.claude-opus-4-6-v1[1m]", "us.anthropic.claude-opus-4-6-v1[1m]", "", "anthropic.claude-opus-4-6-v1", false, "anthropic"},
		{"arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "eu-west-1", "anthropic.claude-sonnet-4-5-20250929-v1:0", false, "anthropic"},
		{"llama/arn:aws:bedrock:us-east-1:1:imported-model/r4c4", "arn:aws:bedrock:us-east-1:1:imported-model/r4c4", "us-east-1", "r4c4", true, "llama"},
		{"nova-2/arn:aws:bedrock:us-east-1:1:custom-model/x", "arn:aws:bedrock:us-east-1:1:custom-model/x", "us-east-1", "amazon.nova-2-custom", false, "amazon"},
		{"invoke/us.amazon.nova-lite-v1:0", "us.amazon.nova-lite-v1:0", "", "amazon.nova-lite-v1:0", false, "amazon"},
		{"converse/a/b", "a/b", "", "a/b", false, "a/b"},
	} {
		m := parseBedrockModel(c.model)
		if m.id != c.id || m.region != c.region || m.base != c.base || m.invoked != c.invoked || m.format != c.format {
			t.Errorf("%s: %+v", c.model, m)
		}
	}
	for s, want := range map[string]bool{"us-east-1": true, "us-gov-west-1": true, "ap-southeast-12": true, "us-east": false,
		"us": false, "us-east-x": false, "evil.com#-a-1": false, "us-east-1.evil": false, "": false} {
		if isRegion(s) != want {
			t.Errorf("isRegion(%q)", s)
		}
	}
}

func TestBedrockRegionsAndEndpoints(t *testing.T) {
	keys := func(more ...string) map[string]string {
		m := map[string]string{"aws_access_key_id": "AKID", "aws_secret_access_key": "s"}
		for i := 0; i < len(more); i += 2 {
			m[more[i]] = more[i+1]
		}
		return m
	}
	const arn = "arn:aws:bedrock:eu-west-1:1:provisioned-model/x"
	for _, c := range []struct {
		p            Params
		region, host string
	}{
		{Params{Model: "bedrock/anthropic.claude-opus-4-8", Settings: keys()}, "us-west-2", "bedrock-runtime.us-west-2.amazonaws.com"},
		{Params{Model: "bedrock/us-east-1/anthropic.claude-opus-4-8", Settings: keys()}, "us-east-1", "bedrock-runtime.us-east-1.amazonaws.com"},
		{Params{Model: "bedrock/" + arn, Settings: keys(envRegion, "ap-south-1")}, "eu-west-1", "bedrock-runtime.eu-west-1.amazonaws.com"},
		{Params{Model: "bedrock/x", Settings: keys(envRegion, "ap-south-1")}, "ap-south-1", "bedrock-runtime.ap-south-1.amazonaws.com"},
		{Params{Model: "bedrock/us-east-1/x", Settings: keys("aws_region_name", "eu-north-1")}, "eu-north-1", "bedrock-runtime.eu-north-1.amazonaws.com"},
		{Params{Model: "bedrock/x", Settings: keys("aws_region_name", "cn-north-1")}, "cn-north-1", "bedrock-runtime.cn-north-1.amazonaws.com.cn"},
		{Params{Model: "bedrock/x", Settings: keys("aws_bedrock_runtime_endpoint", "https://vpce.example")}, "us-west-2", "vpce.example"},
		{Params{Model: "bedrock/x", APIBase: "http://gw:8080/aws", Settings: keys("aws_bedrock_runtime_endpoint", "https://vpce.example")}, "us-west-2", "gw"},
		{Params{Model: "bedrock/x", Settings: keys(), Defaults: map[string]json.RawMessage{"model_id": json.RawMessage(`"` + arn + `"`)}}, "eu-west-1", "bedrock-runtime.eu-west-1.amazonaws.com"},
	} {
		target, err := New(c.p)
		if err != nil {
			t.Fatal(err)
		}
		if target.aws.region != c.region || target.Endpoint().Host != c.host {
			t.Errorf("%+v: %s %s", c.p, target.aws.region, target.Endpoint().Host)
		}
	}
	for _, set := range []map[string]string{
		{"aws_region_name": "us east"}, {"aws_region_name": "evil.com/#"}, {"aws_access_key_id": "AKID"},
		{"aws_secret_access_key": "hush-hush"}, {"aws_web_identity_token": "oidc/file/x"}, keys("aws_session_token", "a\nhush-hush"),
	} {
		if _, err := New(Params{Model: "bedrock/x", Settings: set}); err == nil || strings.Contains(err.Error(), "hush-hush") {
			t.Errorf("%v: %v", set, err)
		}
	}
}

func TestBedrockEnvironment(t *testing.T) {
	env := map[string]string{"AWS_ACCESS_KEY_ID": "env", "AWS_SECRET_ACCESS_KEY": "env-secret", "AWS_SESSION_TOKEN": "env-token",
		"AWS_REGION": "eu-west-3", "AWS_DEFAULT_REGION": "eu-west-2", "AWS_ROLE_NAME": "arn:role"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	set := map[string]string{}
	FromEnvironment("bedrock", set, lookup)
	if set["aws_access_key_id"] != "env" || set["aws_session_token"] != "env-token" || set[envRegion] != "eu-west-3" || set["aws_role_name"] != "arn:role" {
		t.Errorf("%v", set)
	}
	set = map[string]string{"aws_access_key_id": "own", "aws_secret_access_key": "own-secret"}
	FromEnvironment("bedrock", set, lookup)
	if set["aws_access_key_id"] != "own" || set["aws_secret_access_key"] != "own-secret" || set["aws_session_token"] != "" {
		t.Errorf("a deployment's key beside the environment's: %v", set)
	}
	FromEnvironment("openai", set, lookup)
	FromEnvironment("nobody", set, lookup)
}

// TestGuardrailsHold: a guardrail that cannot be asked refuses the call, whoever set it, and is never dropped.
func TestGuardrailsHold(t *testing.T) {
	const good = `{"guardrailIdentifier":"gr-1","guardrailVersion":"1","trace":"enabled"}`
	for _, c := range []struct {
		model, guardrail, param string
	}{
		{"invoke/anthropic.claude-opus-4-8", good, ""},
		{"anthropic.claude-opus-4-8", good, ""},
		{"anthropic.claude-opus-4-8", `"gr-1"`, "guardrailConfig"},
		{"anthropic.claude-opus-4-8", `[]`, "guardrailConfig"},
		{"invoke/anthropic.claude-opus-4-8", `"gr-1"`, "guardrailConfig"},
		{"invoke/anthropic.claude-opus-4-8", `{}`, "guardrailConfig.guardrailIdentifier"},
		{"invoke/anthropic.claude-opus-4-8", `{"guardrailIdentifier":7}`, "guardrailConfig.guardrailIdentifier"},
		{"amazon.titan-text-express-v1", `{"guardrailIdentifier":"a\nb"}`, "guardrailConfig.guardrailIdentifier"},
		{"amazon.titan-text-express-v1", `{"guardrailIdentifier":"a","guardrailVersion":1}`, "guardrailConfig.guardrailVersion"},
		{"amazon.titan-text-express-v1", `{"guardrailIdentifier":"a","trace":"yes"}`, "guardrailConfig.trace"},
	} {
		for _, ours := range []bool{false, true} {
			p, more := Params{Model: "bedrock/" + c.model, APIKey: "k", DropParams: true}, `,"guardrailConfig":`+c.guardrail
			if ours {
				p.Defaults, more = map[string]json.RawMessage{"guardrailConfig": json.RawMessage(c.guardrail)}, ""
			}
			target, err := New(p)
			if err != nil {
				t.Fatal(err)
			}
			r, _ := Parse(Chat, []byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}]`+more+`}`))
			_, e := target.Request(r)
			if c.param == "" && e != nil || c.param != "" && (e == nil || e.Status != 400 || e.Param != c.param) {
				t.Errorf("%s %s: %v", c.model, c.guardrail, e)
			}
		}
	}
}

// TestAWSReadsFixtures: AWS's own decoder reads the streams that stand for Bedrock as this package's splitter does.
func TestAWSReadsFixtures(t *testing.T) {
	for _, text := range goldenFiles(t, "testdata/bedrock/*.txtar", "upstream.aws") {
		stream := framesOf(t, string(text))
		decoder, rest := eventstream.NewDecoder(), bytes.NewReader(stream)
		var split framing.EventStream
		for chunk := stream; ; {
			ev, left, ok, err := split.Next(chunk)
			m, awsErr := decoder.Decode(rest, nil)
			if err != nil || ok != (awsErr == nil) {
				t.Fatalf("%v; AWS: %v", err, awsErr)
			}
			if !ok {
				break
			}
			kind := m.Headers.Get(":message-type").String()
			name := m.Headers.Get(map[string]string{"event": ":event-type", "exception": ":exception-type"}[kind]).String()
			if name != ev.Name || (kind == "exception") != ev.Exception || !bytes.Equal(m.Payload, ev.Data) {
				t.Errorf("%s %q, AWS: %s %s %q", ev.Name, ev.Data, kind, name, m.Payload)
			}
			chunk = left
		}
	}
}
