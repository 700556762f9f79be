package adapters

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

func TestGeminiModels(t *testing.T) {
	for _, c := range []struct {
		name                   string
		three, reasons, schema bool
	}{
		{"gemini-2.5-flash", false, true, true},
		{"gemini-2.5-flash-lite-preview-09-2025", false, true, true},
		{"gemini-2.5-flash-image", false, false, true},
		{"gemini-2.5-pro-preview-tts", false, false, true},
		{"gemini-2.0-flash", false, false, true},
		{"gemini-1.5-pro-002", false, false, false},
		{"gemini-pro", false, false, false},
		{"gemini-flash-8b", false, false, false},
		{"gemini-exp-1206", false, false, false},
		{"gemini-flash-latest", true, true, false},
		{"gemini-flash-lite-latest", true, true, false},
		{"gemini-3-pro-preview", true, true, true},
		{"gemini-3.1-flash-lite", true, true, true},
		{"gemini-10-x", true, true, true},
		{"gemma-3-27b-it", false, false, false},
		{"gemma-4-31b-it", false, true, false},
		{"1234567890", false, false, false},
		{"gemini/my-tuned", false, false, false},
		{"", false, false, false},
	} {
		m := geminiOf(c.name)
		if m.three != c.three || m.reasons() != c.reasons || m.jsonSchema() != c.schema {
			t.Errorf("%q: Gemini 3 %v, reasons %v, JSON schemas %v", c.name, m.three, m.reasons(), m.jsonSchema())
		}
	}
}

func TestGeminiRefuses(t *testing.T) {
	user := func(part string) string { return `"messages":[{"role":"user","content":[` + part + `]}]` }
	hi := `"messages":[{"role":"user","content":"Hi"}],`
	// Each definition has two references to the next: written out, it would fill the memory.
	var bomb strings.Builder
	for i := range 40 {
		fmt.Fprintf(&bomb, `"d%d":{"properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}},`, i, i+1, i+1)
	}
	schema := func(s string) string {
		return hi + `"tools":[{"type":"function","function":{"name":"f","parameters":` + s + `}}]`
	}
	for _, c := range []struct{ name, members, want string }{
		{"text", user(`{"type":"text"}`), "messages[0].content[0].text: "},
		{"part", user(`{"type":"video"}`), "messages[0].content[0].type: "},
		{"image", user(`{"type":"image_url","image_url":{}}`), "messages[0].content[0].image_url.url: "},
		{"data URL", user(`{"type":"image_url","image_url":"data:image/png;base64,a\"b"}`), "messages[0].content[0].image_url: "},
		{"local file", user(`{"type":"image_url","image_url":"file:///etc/passwd"}`), "messages[0].content[0].image_url: "},
		{"metadata", user(`{"type":"image_url","image_url":"http://169.254.169.254/latest"}`), "messages[0].content[0].image_url: "},
		{"audio", user(`{"type":"input_audio","input_audio":{"data":"AAAA"}}`), "messages[0].content[0].input_audio: "},
		{"audio data", user(`{"type":"input_audio","input_audio":{"data":"a\"b","format":"wav"}}`), "messages[0].content[0].input_audio.data: "},
		{"file", user(`{"type":"file"}`), "messages[0].content[0].file: Missing"},
		{"file data", user(`{"type":"file","file":{"filename":"a"}}`), "messages[0].content[0].file: "},
		{"system", `"messages":[{"role":"system","content":[{"type":"image_url"}]},{"role":"user","content":"a"}]`, "messages[0].content[0]: "},
		{"call name", `"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{}}]}]`, "messages[0].tool_calls[0].function.name: Missing"},
		{"arguments", `"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"[1]"}}]}]`, "messages[0].tool_calls[0].function.arguments: "},
		{"function arguments", `"messages":[{"role":"assistant","function_call":{"name":"f","arguments":"[1]"}}]`, "messages[0].function_call.arguments: "},
		{"tool", hi + `"tools":["f"]`, "tools[0]: "},
		{"tool name", hi + `"tools":[{"type":"function","function":{}}]`, "tools[0].function.name: Missing"},
		{"tool type", hi + `"tools":[{"type":"file_search"}]`, "tools[0]: "},
		{"choice", hi + `"tool_choice":"any"`, "tool_choice: "},
		{"count", hi + `"candidate_count":100`, "candidate_count: "},
		{"thinking", hi + `"thinking":true`, "thinking: "},
		{"only null", schema(`{"type":"object","properties":{"a":{"anyOf":[{"type":"null"}]}}}`), "tools[0].function.parameters: "},
		{"bomb", schema(`{"$defs":{` + bomb.String() + `"d40":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/d0"}}}`), "tools[0].function.parameters: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := bodyFor(t, "gemini/gemini-2.5-flash", c.members, false)
			if !strings.HasPrefix(err, c.want) {
				t.Errorf("got %q %.200s, want %q", err, body, c.want)
			}
		})
	}
}

// What a call may cost is read off max_tokens and n: no other name for them may say more.
func TestGeminiHidesNoCost(t *testing.T) {
	hi := `"messages":[{"role":"user","content":"Hi"}],`
	for _, members := range []string{
		hi + `"max_tokens":5,"max_output_tokens":9999`,
		hi + `"max_tokens":5,"maxOutputTokens":9999`,
		hi + `"max_tokens":5,"extra_body":{"generationConfig":{"maxOutputTokens":9999,"candidateCount":9999}}`,
		hi + `"max_tokens":5,"extra_body":{"contents":[9999],"systemInstruction":9999,"system_instruction":9999}`,
		hi + `"max_tokens":5,"vertex_project":"p9999","vertex_credentials":"9999"`,
	} {
		body, err := bodyFor(t, "gemini/gemini-2.5-flash", members, false)
		if err != "" || strings.Contains(string(body), "9999") || !strings.Contains(string(body), `"max_output_tokens":5`) {
			t.Errorf("%s: %s%s", members, err, body)
		}
	}
}

// Sound and pictures have prices of their own; what the cache covered is not counted twice.
func TestGeminiUsageByKind(t *testing.T) {
	var u geminiUsage
	u.update(jsondoc.Value(`{"promptTokenCount":300,"candidatesTokenCount":25,"totalTokenCount":325,"cachedContentTokenCount":10,` +
		`"promptTokensDetails":[{"modality":"TEXT","tokenCount":20},{"modality":"IMAGE","tokenCount":258},{"modality":"AUDIO","tokenCount":22}],` +
		`"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":10}],` +
		`"candidatesTokensDetails":[{"modality":"TEXT","tokenCount":5},{"modality":"IMAGE","tokenCount":20}]}`))
	want := Usage{Prompt: 300, Completion: 25, Total: 325, CachedRead: 10, PromptAudio: 12, CachedAudio: 10, PromptImage: 258, CompletionImage: 20}
	if got := u.total(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
