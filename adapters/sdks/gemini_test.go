package sdks

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/genai"
)

// genaiRequest is a generateContent request made of the types of Google's SDK.
type genaiRequest struct {
	Contents          []*genai.Content        `json:"contents"`
	SystemInstruction *genai.Content          `json:"systemInstruction"`
	Tools             []*genai.Tool           `json:"tools"`
	ToolConfig        *genai.ToolConfig       `json:"toolConfig"`
	SafetySettings    []*genai.SafetySetting  `json:"safetySettings"`
	GenerationConfig  *genai.GenerationConfig `json:"generationConfig"`
	CachedContent     string                  `json:"cachedContent"`
	ServiceTier       string                  `json:"serviceTier"`
	Labels            map[string]string       `json:"labels"`
	Extra             any                     `json:"xNew"`
}

// free are the members whose own members are not Google's: they keep their spelling.
var free = map[string]bool{"args": true, "response": true, "properties": true, "responseJsonSchema": true, "labels": true, "xNew": true}

// camel spells the members of a request as the SDK does; Google takes both spellings.
func camel(v any, inFree bool) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = camel(v[i], inFree)
		}
	case map[string]any:
		out := map[string]any{}
		for k, m := range v {
			if !inFree {
				words := strings.Split(k, "_")
				for i := range words[1:] {
					words[i+1] = strings.ToUpper(words[i+1][:1]) + words[i+1][1:]
				}
				k = strings.Join(words, "")
			}
			switch {
			case k == "properties" && !inFree: // schemas by names of the client's
				named := map[string]any{}
				for name, schema := range m.(map[string]any) {
					named[name] = camel(schema, false)
				}
				out[k] = named
			default:
				out[k] = camel(m, inFree || free[k])
			}
		}
		return out
	}
	return v
}

func TestGoogleReadsRequests(t *testing.T) {
	for _, provider := range []string{"gemini", "vertex_ai"} {
		eachCase(t, "../testdata/"+provider+"/*.txtar", func(t *testing.T, files map[string]string) {
			head, body, ok := strings.Cut(files["want.request"], "\n\n")
			if !ok || !strings.Contains(strings.ToLower(head), "generatecontent") {
				return
			}
			var v any
			if err := json.Unmarshal([]byte(body), &v); err != nil {
				t.Fatal(err)
			}
			if config, ok := v.(map[string]any)["generationConfig"].(map[string]any); ok {
				delete(config, "responseFormat") // which the SDK has for another API only
			}
			spelled, _ := json.Marshal(camel(v, false))
			d := json.NewDecoder(bytes.NewReader(spelled))
			d.DisallowUnknownFields()
			var r genaiRequest
			if err := d.Decode(&r); err != nil {
				t.Fatalf("%v\n%s", err, spelled)
			}
			for i, c := range r.Contents {
				if c.Role != "user" && c.Role != "model" || len(c.Parts) == 0 {
					t.Errorf("content %d: role %q, %d parts", i, c.Role, len(c.Parts))
				}
				for j, p := range c.Parts {
					if reflect.ValueOf(*p).IsZero() && !strings.Contains(body, `"text": ""`) {
						t.Errorf("content %d: part %d is empty", i, j)
					}
				}
			}
			if len(r.Contents) == 0 {
				t.Error("no contents")
			}
		})
	}
}

func TestGoogleReadsFixtures(t *testing.T) {
	for _, provider := range []string{"gemini", "vertex_ai"} {
		eachCase(t, "../testdata/"+provider+"/*.txtar", func(t *testing.T, files map[string]string) {
			if !strings.Contains(strings.ToLower(files["want.request"]), "generatecontent") || strings.Contains(files["want.usage"], "error ") {
				return
			}
			kind, body := "application/json", files["upstream.json"]
			if s, ok := files["upstream.sse"]; ok {
				kind, body = "text/event-stream", s
			}
			if body == "" {
				return
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("content-type", kind)
				w.Write([]byte(body))
			}))
			defer server.Close()
			client, err := genai.NewClient(context.Background(), &genai.ClientConfig{
				APIKey: "k", Backend: genai.BackendGeminiAPI, HTTPOptions: genai.HTTPOptions{BaseURL: server.URL},
			})
			if err != nil {
				t.Fatal(err)
			}
			said := func(r *genai.GenerateContentResponse) bool {
				return len(r.Candidates) > 0 || r.PromptFeedback != nil && r.PromptFeedback.BlockReason != ""
			}
			if kind == "application/json" {
				r, err := client.Models.GenerateContent(context.Background(), "m", genai.Text("Hi"), nil)
				if err != nil || !said(r) || r.UsageMetadata == nil {
					t.Errorf("%v: %+v", err, r)
				}
				return
			}
			for r, err := range client.Models.GenerateContentStream(context.Background(), "m", genai.Text("Hi"), nil) {
				if err != nil || !said(r) {
					t.Errorf("%v: %+v", err, r)
				}
			}
		})
	}
}
