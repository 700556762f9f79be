package adapters

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

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
