package adapters

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sluicegw/sluice/internal/apierror"
)

// Each dialect has two fuzz targets, one a way. They are seeded from the goldens of the providers that speak it. The
// SDKs that read the goldens are tested in another package: Go's fuzzing looks at the coverage of every package that is
// linked, after each input, and they would make it twenty times slower.

const (
	awsMedia    = "application/vnd.amazon.eventstream"
	sseMedia    = "text/event-stream"
	ndjsonMedia = "application/x-ndjson"
)

// maxFuzzed bounds the inputs in bytes: larger ones find nothing that these do not, and take their time.
const maxFuzzed = 8 << 10

// fuzzed is one dialect to fuzz.
type fuzzed struct {
	media string   // of its streams
	seeds []string // the providers whose goldens it begins with
	own   bool     // what clients get is written anew, and so has OpenAI's types whatever the provider sent
	from  []Params
}

func vertex(model string) Params {
	return Params{Model: "vertex_ai/" + model, APIKey: "k", Settings: map[string]string{"vertex_project": "p"}, DropParams: true}
}

var fuzzedDialects = map[string]fuzzed{
	"openai": {sseMedia, []string{"openai", "azure", "mistral", "groq", "deepseek", "perplexity", "hosted_vllm", "shared"}, false, []Params{
		{Model: "openai/gpt-4o", DropParams: true, Defaults: map[string]json.RawMessage{"temperature": []byte("1")}},
		{Model: "openai/o3"},
		{Model: "mistral/x", DropParams: true},
		{Model: "groq/llama", AdditionalDropParams: []string{"user"}},
		{Model: "deepseek/x"},
		{Model: "azure/gpt-4o", APIBase: "https://x.openai.azure.com", APIVersion: "2024-10-21"},
		{Model: "azure/gpt-35-turbo", APIBase: "https://x.openai.azure.com", DropParams: true},
		{Model: "hosted_vllm/x", APIBase: "http://127.0.0.1:8000"},
	}},
	"anthropic": {sseMedia, []string{"anthropic"}, true, []Params{
		{Model: "anthropic/claude-sonnet-4-20250514"},
		{Model: "anthropic/claude-opus-4-8", DropParams: true, ExtraBody: []byte(`{"a":1}`)},
		vertex("claude-sonnet-4-5"),
	}},
	"gemini": {sseMedia, []string{"gemini", "vertex_ai"}, true, []Params{
		{Model: "gemini/gemini-2.5-flash", DropParams: true},
		{Model: "gemini/gemini-3-pro-preview", ExtraBody: []byte(`{"generationConfig":{"topK":1},"labels":{"a":"b"}}`)},
		{Model: "gemini/gemini-1.5-pro", DropParams: true},
		{Model: "gemini/gemini-embedding-001"},
		vertex("gemini-2.5-pro"), vertex("text-embedding-005"),
	}},
	"converse": {awsMedia, []string{"bedrock"}, true, []Params{
		{Model: "bedrock/us.anthropic.claude-sonnet-4-20250514-v1:0", APIKey: "k", DropParams: true},
		{Model: "bedrock/anthropic.claude-3-7-sonnet-20250219-v1:0", APIKey: "k"},
		{Model: "bedrock/amazon.nova-pro-v1:0", APIKey: "k", DropParams: true},
	}},
	"invoke": {awsMedia, []string{"bedrock", "anthropic"}, true, []Params{
		{Model: "bedrock/invoke/anthropic.claude-opus-4-8", APIKey: "k", DropParams: true},
		{Model: "bedrock/invoke/anthropic.claude-3-haiku-20240307-v1:0", APIKey: "k"},
	}},
	"titan": {awsMedia, []string{"bedrock"}, true, []Params{
		{Model: "bedrock/amazon.titan-text-express-v1", APIKey: "k", DropParams: true},
		{Model: "bedrock/cohere.command-text-v14", APIKey: "k", DropParams: true},
		{Model: "bedrock/invoke/meta.llama3-8b-instruct-v1:0", APIKey: "k", DropParams: true},
		{Model: "bedrock/invoke/mistral.mistral-7b-instruct-v0:2", APIKey: "k"},
		{Model: "bedrock/amazon.titan-embed-text-v2:0", APIKey: "k", Fanout: "/f"},
		{Model: "bedrock/cohere.embed-v4:0", APIKey: "k"},
	}},
	"cohere": {sseMedia, []string{"cohere", "cohere_chat"}, true, []Params{
		{Model: "cohere/command-a", DropParams: true},
		{Model: "cohere_chat/command-r"},
	}},
	"ollama": {ndjsonMedia, []string{"ollama", "ollama_chat"}, true, []Params{
		{Model: "ollama/llama3.2"},
		{Model: "ollama_chat/gpt-oss", DropParams: true},
	}},
}

func FuzzOpenAIRequest(f *testing.F)    { fuzzRequest(f, "openai") }
func FuzzAnthropicRequest(f *testing.F) { fuzzRequest(f, "anthropic") }
func FuzzGeminiRequest(f *testing.F)    { fuzzRequest(f, "gemini") }
func FuzzConverseRequest(f *testing.F)  { fuzzRequest(f, "converse") }
func FuzzInvokeRequest(f *testing.F)    { fuzzRequest(f, "invoke") }
func FuzzTitanRequest(f *testing.F)     { fuzzRequest(f, "titan") }
func FuzzCohereRequest(f *testing.F)    { fuzzRequest(f, "cohere") }
func FuzzOllamaRequest(f *testing.F)    { fuzzRequest(f, "ollama") }

func FuzzOpenAIReply(f *testing.F)    { fuzzReply(f, "openai") }
func FuzzAnthropicReply(f *testing.F) { fuzzReply(f, "anthropic") }
func FuzzGeminiReply(f *testing.F)    { fuzzReply(f, "gemini") }
func FuzzConverseReply(f *testing.F)  { fuzzReply(f, "converse") }
func FuzzInvokeReply(f *testing.F)    { fuzzReply(f, "invoke") }
func FuzzTitanReply(f *testing.F)     { fuzzReply(f, "titan") }
func FuzzCohereReply(f *testing.F)    { fuzzReply(f, "cohere") }
func FuzzOllamaReply(f *testing.F)    { fuzzReply(f, "ollama") }

// fuzzRequest: whatever a client sends, the request stays as it is, and what goes upstream is valid JSON, the same each
// time and not much larger; or the client gets one valid error.
func fuzzRequest(f *testing.F, name string) {
	d := fuzzedDialects[name]
	for i, s := range d.goldens(f, "in.json") {
		f.Add(s, uint64(i))
		f.Add(s, uint64(i+1)<<40|uint64(i))
	}
	targets := d.targets(f)
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		if len(body) > maxFuzzed {
			return
		}
		body = mangle(body, seed>>40)
		for _, target := range some(targets, seed) {
			d.checkRequest(t, target, body)
		}
	})
}

func (d *fuzzed) checkRequest(t *testing.T, target *Target, body []byte) {
	before := bytes.Clone(body)
	for _, op := range []Op{Chat, Completion, Embedding, Rerank} {
		r, err := Parse(op, body)
		if err != nil {
			checkError(t, err)
			continue
		}
		out, err := target.Request(r)
		if !bytes.Equal(before, body) {
			t.Fatal("the request was modified")
		}
		if err != nil {
			checkError(t, err)
			continue
		}
		if !json.Valid(out.Body) || !utf8.Valid(out.Body) {
			t.Fatalf("%s: invalid JSON: %s\nof %s", target, out.Body, body)
		}
		if most := 4096 + 40*len(body); len(out.Body) > most {
			t.Fatalf("%s: %d bytes of %d", target, len(out.Body), len(body))
		}
		if again, _ := target.Request(r); again == nil || target.fanout == "" && !bytes.Equal(again.Body, out.Body) {
			t.Fatalf("%s: the second time\n%s\nnot\n%s", target, again.Body, out.Body)
		}
	}
}

// fuzzReply: whatever a provider sends, the client gets valid events, the same however the stream was cut, or one
// valid answer, or one valid error.
func fuzzReply(f *testing.F, name string) {
	d := fuzzedDialects[name]
	for _, kind := range []string{"upstream.sse", "upstream.ndjson", "upstream.aws", "upstream.json", "upstream.txt"} {
		for i, s := range d.goldens(f, kind) {
			f.Add(s, uint64(i)<<8)
			f.Add(s, uint64(i+1)<<40|uint64(i))
		}
	}
	targets := d.targets(f)
	streams, wholes := fuzzedCalls(f)
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		if len(body) > maxFuzzed {
			return
		}
		body = mangle(body, seed>>40)
		for _, target := range some(targets, seed) {
			for _, r := range some(streams, seed>>8) {
				d.checkStreams(t, target, r, body, seed)
			}
			for _, r := range some(wholes, seed>>16) {
				for _, status := range some([]int{200, 200, 400, 529}, seed>>24) {
					d.checkWhole(t, target, r, body, status)
				}
			}
		}
	})
}

// fuzzedCalls are requests whose answers are read differently.
func fuzzedCalls(tb testing.TB) (streams, wholes []*Request) {
	tb.Helper()
	for _, c := range []struct {
		op   Op
		body string
	}{
		{Chat, `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}`},
		{Chat, `{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f"}}]}`},
		{Chat, `{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}}}`},
		{Completion, `{"model":"m","stream":true,"prompt":"Once"}`},
		{Chat, askWhole},
		{Chat, `{"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f"}}],"response_format":{"type":"json_object"}}`},
		{Completion, `{"model":"m","prompt":"Once"}`},
		{Embedding, `{"model":"m","input":["a"],"encoding_format":"base64"}`},
		{Embedding, `{"model":"m","input":["a","b"]}`},
		{Rerank, `{"model":"m","query":"q","documents":["a"],"return_documents":true}`},
	} {
		r, err := Parse(c.op, []byte(c.body))
		if err != nil {
			tb.Fatal(err)
		}
		if r.stream {
			streams = append(streams, r)
		} else {
			wholes = append(wholes, r)
		}
	}
	return streams, wholes
}

// TestMangledGoldens is what the fuzz targets do, for a few changes of each golden.
func TestMangledGoldens(t *testing.T) {
	const rounds = 3
	for name, d := range fuzzedDialects {
		targets := d.targets(t)
		streams, wholes := fuzzedCalls(t)
		for _, kind := range []string{"upstream.sse", "upstream.ndjson", "upstream.aws", "upstream.json", "in.json"} {
			for i, s := range d.goldens(t, kind) {
				for round := range uint64(rounds) {
					rnd := rand.New(rand.NewPCG(uint64(i), round))
					body, target, seed := mangle(s, 1+rnd.Uint64N(1<<30)), targets[rnd.IntN(len(targets))], rnd.Uint64()
					switch {
					case kind == "in.json":
						d.checkRequest(t, target, body)
					default:
						d.checkStreams(t, target, streams[rnd.IntN(len(streams))], body, seed)
						d.checkWhole(t, target, wholes[rnd.IntN(len(wholes))], body, 200)
					}
					if t.Failed() {
						t.Fatalf("%s: %s of %s", name, kind, body)
					}
				}
			}
		}
	}
}

// checkStreams feeds body as a stream, whole and cut. AWS's is fed as it is, and as the lines of framesOf.
func (d *fuzzed) checkStreams(t *testing.T, target *Target, r *Request, body []byte, seed uint64) {
	if d.media == awsMedia && seed%4 != 3 {
		body = framesOf(t, strings.ReplaceAll(string(body), "…", ""))
	}
	whole, told := d.stream(target, r, body, func(rest int) int { return rest })
	checkStream(t, target.String(), whole)
	if most := 64<<10 + 1000*len(body); len(whole) > most {
		t.Fatalf("%s: %d bytes of %d", target, len(whole), len(body))
	}
	rnd := rand.New(rand.NewPCG(seed, 3))
	for _, cut := range []func(int) int{
		func(rest int) int { return 1 + rnd.IntN(rest) },
		func(rest int) int { return 1 + rnd.IntN(min(rest, 3)) },
	} {
		if got, said := d.stream(target, r, body, cut); !bytes.Equal(got, whole) || said != told {
			t.Fatalf("%s: cut:\n%s%s\nwhole:\n%s%s", target, got, said, whole, told)
		}
	}
	if d.own && r.op == Chat {
		checkChunks(t, target, whole)
	}
}

// stream is what the client gets of a stream cut so, and what the gateway is told.
func (d *fuzzed) stream(target *Target, r *Request, body []byte, cut func(int) int) ([]byte, string) {
	p := target.Reply(r, "m")
	p.Begin(200, headers("content-type", d.media))
	var out []byte
	for len(body) > 0 {
		n := cut(len(body))
		piece := bytes.Clone(body[:n])
		out = p.Events(out, piece)
		for i := range piece {
			piece[i] = '#'
		}
		body = body[n:]
	}
	out = p.End(out)
	u, _ := p.Usage()
	return out, fmt.Sprintf("%+v %d %q %q %q %v", u, p.Produced(), p.FinishReason(), p.Model(), p.ServiceTier(), p.Err() == nil)
}

// checkWhole feeds body as an answer in one piece: as JSON, and as a stream that has to be collected.
func (d *fuzzed) checkWhole(t *testing.T, target *Target, r *Request, body []byte, status int) {
	for _, media := range []string{"application/json", d.media} {
		text := bytes.Clone(body)
		if media == awsMedia {
			text = framesOf(t, strings.ReplaceAll(string(body), "…", ""))
		}
		p := target.Reply(r, "m")
		p.Begin(status, headers("content-type", media))
		out, err := p.Whole(text)
		switch {
		case err != nil:
			checkError(t, err)
		case status != 200 || !json.Valid(out) || !utf8.Valid(out):
			t.Fatalf("%s: %d: %s", target, status, out)
		case d.own && r.op == Chat:
			var c typedCompletion
			if err := json.Unmarshal(out, &c); err != nil {
				t.Fatalf("%s: %v: %s", target, err, out)
			}
		}
	}
}

// The types that OpenAI's SDKs read answers by, as far as any of them insists.
type (
	typedMessage struct {
		Role, Content, ReasoningContent, Refusal *string
		ToolCalls                                []struct {
			Index    *int
			ID, Type *string
			Function struct{ Name, Arguments *string }
		} `json:"tool_calls"`
	}
	typedCompletion struct {
		ID, Object, Model string
		Created           int64
		Choices           []struct {
			Index          int
			Message, Delta typedMessage
			FinishReason   *string `json:"finish_reason"`
		}
		Usage *struct {
			PromptTokens     int64 `json:"prompt_tokens"`
			CompletionTokens int64 `json:"completion_tokens"`
			TotalTokens      int64 `json:"total_tokens"`
		}
	}
)

// checkChunks makes sure that the events of a stream are of OpenAI's types.
func checkChunks(t *testing.T, target *Target, stream []byte) {
	for event := range strings.SplitSeq(string(stream), "\n\n") {
		data := strings.TrimPrefix(event, "data: ")
		if data == "" || data == "[DONE]" || strings.HasPrefix(data, `{"error"`) {
			continue
		}
		var c typedCompletion
		if err := json.Unmarshal([]byte(data), &c); err != nil || c.Object != "chat.completion.chunk" {
			t.Fatalf("%s: %v: %s", target, err, data)
		}
	}
}

func checkError(t *testing.T, err *apierror.Error) {
	if err.Status < 400 || err.Status > 599 || !json.Valid(err.JSON()) || !utf8.Valid(err.JSON()) || err.Message == "" {
		t.Fatalf("error: %d %s", err.Status, err.JSON())
	}
}

// some is one of the list's elements, chosen by the seed, where inputs are made up by the thousand; else all.
func some[T any](list []T, seed uint64) []T {
	if f := flag.Lookup("test.fuzz"); f == nil || f.Value.String() == "" {
		return list
	}
	i := int(seed & 0xff % uint64(len(list)))
	return list[i : i+1]
}

func (d *fuzzed) targets(tb testing.TB) (list []*Target) {
	tb.Helper()
	for _, p := range d.from {
		t, err := New(p)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, t)
	}
	return list
}

// goldens are the files of a name in the dialect's goldens: seeds, small ones.
func (d *fuzzed) goldens(tb testing.TB, name string) (list [][]byte) {
	tb.Helper()
	for _, provider := range d.seeds {
		for _, s := range goldenFiles(tb, filepath.Join("testdata", provider, "*.txtar"), name) {
			if len(s) < maxFuzzed && !slices.ContainsFunc(list, func(o []byte) bool { return bytes.Equal(o, s) }) {
				list = append(list, s)
			}
		}
	}
	return list
}

func goldenFiles(tb testing.TB, pattern, name string) (list [][]byte) {
	tb.Helper()
	paths, _ := filepath.Glob(pattern)
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		for _, f := range a.Files {
			if f.Name == name {
				list = append(list, f.Data)
			}
		}
	}
	if len(paths) == 0 {
		tb.Fatalf("no file matches %s", pattern)
	}
	return list
}

// fuzzTargets are deployments of every dialect, and the media types of their streams.
func fuzzTargets(tb testing.TB) (list []*Target, media []string) {
	tb.Helper()
	for _, d := range fuzzedDialects {
		targets := d.targets(tb)
		list, media = append(list, targets...), append(media, slices.Repeat([]string{d.media}, len(targets))...)
	}
	return list, media
}

// TestEveryDialectIsFuzzed: a dialect that no target speaks would be a gap in the fuzzing.
func TestEveryDialectIsFuzzed(t *testing.T) {
	spoken := map[string]bool{}
	targets, _ := fuzzTargets(t)
	for _, target := range targets {
		spoken[fmt.Sprintf("%T", target.p.dialect)] = true
	}
	for _, name := range Providers() {
		if d := fmt.Sprintf("%T", byName(name).dialect); !spoken[d] {
			t.Errorf("%s: %s is fuzzed by no target", name, d)
		}
	}
}
