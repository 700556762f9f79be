package adapters

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/sluicegw/sluice/adapters/framing"
)

// framesOf makes AWS's binary event stream of a readable one: an event a line, its name and its payload with a space
// between; an exception's name stands after a "!"; the payload of a chunk is wrapped in base64, as InvokeModel does.
// A last line "…" cuts the stream in the middle of the event before it.
func framesOf(tb testing.TB, text string) []byte {
	tb.Helper()
	var out bytes.Buffer
	encoder := eventstream.NewEncoder()
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if line == "…" {
			return out.Bytes()[:out.Len()-7]
		}
		name, payload, _ := strings.Cut(line, " ")
		name = name[:min(len(name), 200)]
		kind, typ := "event", ":event-type"
		if bare, ok := strings.CutPrefix(name, "!"); ok {
			name, kind, typ = bare, "exception", ":exception-type"
		}
		if name == "chunk" {
			payload = `{"bytes":"` + base64.StdEncoding.EncodeToString([]byte(payload)) + `","p":"abcdefghij"}`
		}
		m := eventstream.Message{Payload: []byte(payload)}
		m.Headers.Set(typ, eventstream.StringValue(name))
		m.Headers.Set(":content-type", eventstream.StringValue("application/json"))
		m.Headers.Set(":message-type", eventstream.StringValue(kind))
		if err := encoder.Encode(&out, m); err != nil {
			tb.Fatal(err)
		}
	}
	return out.Bytes()
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

// FuzzBedrockReply feeds streams: the bytes as they are, and their lines as the events of framesOf.
func FuzzBedrockReply(f *testing.F) {
	for _, s := range goldenFiles(f, "upstream.aws") {
		f.Add(s, uint64(1))
	}
	f.Add(framesOf(f, "messageStart {}\nchunk {}"), uint64(2))
	var targets []*Target
	for _, model := range []string{"us.anthropic.claude-sonnet-4-20250514-v1:0", "amazon.nova-pro-v1:0",
		"invoke/anthropic.claude-opus-4-8", "amazon.titan-text-express-v1", "cohere.command-text-v14"} {
		t, err := New(Params{Model: "bedrock/" + model, APIKey: "k"})
		if err != nil {
			f.Fatal(err)
		}
		targets = append(targets, t)
	}
	chat, _ := Parse(Chat, []byte(`{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}`))
	schema, _ := Parse(Chat, []byte(`{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object"}}}}`))
	plain, _ := Parse(Chat, []byte(askWhole))
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		for _, stream := range [][]byte{body, framesOf(t, strings.ReplaceAll(string(body), "…", ""))} {
			for _, target := range some(targets, body) {
				for _, r := range []*Request{chat, schema} {
					whole := fuzzFrames(target, r, stream, func(rest int) int { return rest })
					checkStream(t, target.String(), whole)
					rnd := rand.New(rand.NewPCG(seed, 5))
					if cut := fuzzFrames(target, r, stream, func(rest int) int { return 1 + rnd.IntN(rest) }); !bytes.Equal(cut, whole) {
						t.Fatalf("%s: cut:\n%s\nwhole:\n%s", target, cut, whole)
					}
				}
				p := target.Reply(plain, "m")
				p.Begin(200, headers("content-type", "application/vnd.amazon.eventstream"))
				if out, err := p.Whole(bytes.Clone(stream)); err == nil && !json.Valid(out) {
					t.Fatalf("%s: %s", target, out)
				}
			}
		}
	})
}

func fuzzFrames(target *Target, r *Request, body []byte, cut func(int) int) []byte {
	p := target.Reply(r, "m")
	p.Begin(200, headers("content-type", "application/vnd.amazon.eventstream"))
	var out []byte
	for rest := body; len(rest) > 0; {
		n := cut(len(rest))
		out = p.Events(out, bytes.Clone(rest[:n]))
		rest = rest[n:]
	}
	return p.End(out)
}

// TestAWSReadsFixtures: AWS's own decoder reads the streams that stand for Bedrock as this package's splitter does.
func TestAWSReadsFixtures(t *testing.T) {
	eachCase(t, "testdata/bedrock/*.txtar", func(t *testing.T, files map[string]string) {
		text, ok := files["upstream.aws"]
		if !ok {
			return
		}
		stream := framesOf(t, text)
		decoder, rest := eventstream.NewDecoder(), bytes.NewReader(stream)
		var split framing.EventStream
		for chunk := stream; ; {
			ev, left, ok, err := split.Next(chunk)
			m, awsErr := decoder.Decode(rest, nil)
			if err != nil || ok != (awsErr == nil) {
				t.Fatalf("%v; AWS: %v", err, awsErr)
			}
			if !ok {
				return
			}
			kind := m.Headers.Get(":message-type").String()
			name := m.Headers.Get(map[string]string{"event": ":event-type", "exception": ":exception-type"}[kind]).String()
			if name != ev.Name || (kind == "exception") != ev.Exception || !bytes.Equal(m.Payload, ev.Data) {
				t.Errorf("%s %q, AWS: %s %s %q", ev.Name, ev.Data, kind, name, m.Payload)
			}
			chunk = left
		}
	})
}
