package adapters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// formatTargets are deployments with formats of their own, and the media types of their streams.
func formatTargets(tb testing.TB) (list []*Target, media []string) {
	tb.Helper()
	for _, c := range []struct {
		p     Params
		media string
	}{
		{Params{Model: "ollama/llama3.2"}, "application/x-ndjson"},
		{Params{Model: "ollama_chat/gpt-oss", DropParams: true}, "application/x-ndjson"},
		{Params{Model: "cohere/command-a", DropParams: true}, "text/event-stream"},
		{Params{Model: "cohere_chat/command-r"}, "text/event-stream"},
		{Params{Model: "azure/gpt-4o", APIBase: "https://x.openai.azure.com", APIVersion: "2024-10-21"}, "text/event-stream"},
		{Params{Model: "azure/gpt-35-turbo", APIBase: "https://x.openai.azure.com", DropParams: true}, "text/event-stream"},
		{Params{Model: "hosted_vllm/x", APIBase: "http://127.0.0.1:8000"}, "text/event-stream"},
	} {
		t, err := New(c.p)
		if err != nil {
			tb.Fatal(err)
		}
		list, media = append(list, t), append(media, c.media)
	}
	return list, media
}

// formatCalls are requests whose answers are read differently.
func formatCalls(tb testing.TB) (list []*Request) {
	tb.Helper()
	for _, c := range []struct {
		op   Op
		body string
	}{
		{Chat, `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}`},
		{Chat, `{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f"}}]}`},
		{Chat, `{"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f"}}]}`},
		{Completion, `{"model":"m","stream":true,"prompt":"Once"}`},
		{Embedding, `{"model":"m","input":["a"]}`},
		{Rerank, `{"model":"m","query":"q","documents":["a"]}`},
	} {
		r, err := Parse(c.op, []byte(c.body))
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

// FuzzFormatReply feeds anything to the readers of foreign formats: no panic, valid JSON, and the same
// stream however it was cut.
func FuzzFormatReply(f *testing.F) {
	for _, name := range []string{"upstream.ndjson", "upstream.sse", "upstream.json"} {
		for _, s := range goldenFiles(f, name) {
			f.Add(s, uint64(1))
		}
	}
	targets, media := formatTargets(f)
	var numbers []int
	for i := range targets {
		numbers = append(numbers, i)
	}
	calls := formatCalls(f)
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		for _, i := range some(numbers, body) {
			target := targets[i]
			for _, r := range calls {
				if r.stream {
					whole := formatStream(target, r, media[i], body, func(rest int) int { return rest })
					checkStream(t, target.Provider(), whole)
					if cut := formatStream(target, r, media[i], body, func(rest int) int { return 1 + rnd.IntN(rest) }); !bytes.Equal(cut, whole) {
						t.Fatalf("%s: cut:\n%s\nwhole:\n%s", target.Provider(), cut, whole)
					}
					continue
				}
				for _, status := range []int{200, 400} {
					p := target.Reply(r, "m")
					p.Begin(status, headers("content-type", "application/json"))
					out, err := p.Whole(bytes.Clone(body))
					if err == nil && (status != 200 || !json.Valid(out)) || err != nil && !json.Valid(err.JSON()) {
						t.Fatalf("%s: %d: %s %v", target.Provider(), status, out, err)
					}
				}
			}
		}
	})
}

func formatStream(target *Target, r *Request, media string, body []byte, cut func(int) int) []byte {
	fixed := randomID
	n := 0
	randomID = func() string { n++; return fmt.Sprint(n) }
	defer func() { randomID = fixed }()
	p := target.Reply(r, "m")
	p.Begin(200, headers("content-type", media))
	var out []byte
	for len(body) > 0 {
		n := cut(len(body))
		out = p.Events(out, bytes.Clone(body[:n]))
		body = body[n:]
	}
	return p.End(out)
}

// FuzzFormatRequest translates anything that is a request: no panic, valid JSON, the request as it was.
func FuzzFormatRequest(f *testing.F) {
	for _, s := range goldenInputs(f) {
		f.Add(s)
	}
	targets, _ := formatTargets(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range []Op{Chat, Completion, Embedding, Rerank} {
			before := bytes.Clone(body)
			r, err := Parse(op, body)
			if err != nil {
				continue
			}
			for _, target := range some(targets, body) {
				out, err := target.Request(r)
				switch {
				case !bytes.Equal(before, body):
					t.Fatal("the request was modified")
				case err != nil && (err.Status < 400 || !validJSON(err.JSON())):
					t.Fatalf("error: %d %s", err.Status, err.JSON())
				case err == nil && !validJSON(out.Body):
					t.Fatalf("%s: invalid JSON: %s\nof %s", target.Provider(), out.Body, body)
				}
			}
		}
	})
}

func TestThinkTagsInPieces(t *testing.T) {
	var tags thinkTags
	var thinking, content strings.Builder
	for _, piece := range []string{`"<think>a"`, `"b"`, `"c</think>d"`, `"<think>e"`} {
		a, b := tags.split(jsondoc.Value(piece))
		thinking.WriteString(a.Text())
		content.WriteString(b.Text())
	}
	if thinking.String() != "abc" || content.String() != "d<think>e" {
		t.Errorf("thinking %q, content %q", thinking.String(), content.String())
	}
}
