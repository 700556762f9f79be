package adapters

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

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
		f.Add(s, uint64(2*i))
	}
	targets := d.targets(f)
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		if len(body) > maxFuzzed {
			return
		}
		body = mangle(body, seed)
		for _, target := range some(targets, seed, 1) {
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
			f.Add(s, uint64(2*i))
		}
	}
	targets := d.targets(f)
	streams, wholes := fuzzedCalls(f)
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		if len(body) > maxFuzzed {
			return
		}
		body = mangle(body, seed)
		for _, target := range some(targets, seed, 1) {
			for _, r := range some(streams, seed, 2) {
				d.checkStreams(t, target, r, body, seed)
			}
			for _, r := range some(wholes, seed, 3) {
				for _, status := range some([]int{200, 200, 400, 529}, seed, 4) {
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
					body, target, seed := mangle(s, 1|rnd.Uint64()), targets[rnd.IntN(len(targets))], rnd.Uint64()
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
	if d.media == awsMedia && seed%16 != 2 {
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

// some is one of the list's elements, chosen by the seed and what it is for, where inputs are made up by the thousand;
// else all. Go's fuzzing changes numbers by little: neighbours choose differently.
func some[T any](list []T, seed, purpose uint64) []T {
	if f := flag.Lookup("test.fuzz"); f == nil || f.Value.String() == "" {
		return list
	}
	i := rand.New(rand.NewPCG(seed, purpose)).IntN(len(list))
	return list[i : i+1]
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
