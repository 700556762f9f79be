package keys

import (
	"strings"
	"testing"
)

const master = "sk-master-key-1234"

func TestAuthenticate(t *testing.T) {
	hash := Hash("sk-unknown-token-9876")
	tests := []struct {
		name, token string
		typ, param  string // empty: the master key
		message     string
	}{
		{name: "master key", token: master},
		{"none", "", "auth_error", "None", "Authentication Error, No api key passed in."},
		{"not sk-", "hunter2", "auth_error", "None",
			"LiteLLM Virtual Key expected. Received=****, expected to start with 'sk-'."},
		{"not sk-, long", "eyJhbGciOiJIUzI1NiJ9.payload.signature", "auth_error", "None",
			"LiteLLM Virtual Key expected. Received=eyJh****ture, expected to start with 'sk-'."},
		{"unknown", "sk-unknown-token-9876", "token_not_found_in_db", "key",
			"Authentication Error, Invalid proxy server token passed. Received API Key = sk-...9876, Key Hash (Token) =" + hash +
				". Unable to find token in cache or `LiteLLM_VerificationTokenTable`"},
		{"almost the master key", master[:len(master)-1], "token_not_found_in_db", "key", "Received API Key = sk-..."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key, err := New(master).Authenticate(tt.token)
			if tt.typ == "" {
				if err != nil || !key.IsAdmin() || key.Hash != MasterHash || key.Name != "sk-...1234" || !New(master).Allows(key, "any") {
					t.Errorf("%+v %v", key, err)
				}
				return
			}
			if err == nil || key != nil {
				t.Fatal("accepted")
			}
			if err.Status != 401 || err.Type != tt.typ || err.Param != tt.param || !strings.Contains(err.Message, tt.message) {
				t.Errorf("%d %s %s %q", err.Status, err.Type, err.Param, err.Message)
			}
			if len(tt.token) > 4 && strings.Contains(err.Error(), tt.token) {
				t.Error("the error tells the token")
			}
		})
	}
}

func TestMasterKeyNeedsNoPrefix(t *testing.T) {
	if key, err := New("hunter2").Authenticate("hunter2"); err != nil || !key.IsAdmin() || key.Name != "sk-..." {
		t.Errorf("%+v %v", key, err)
	}
}

func TestOpen(t *testing.T) {
	r := New("")
	for _, token := range []string{"", "anything", "sk-x"} {
		key, err := r.Authenticate(token)
		if err != nil || !r.Open() || !key.IsAdmin() || !r.Allows(key, "x") || key.Hash != "" {
			t.Errorf("%q: %+v %v", token, key, err)
		}
	}
	if New(master).Open() {
		t.Error("a ring with a master key is open")
	}
}

func TestFromHeaders(t *testing.T) {
	tests := []struct {
		headers string // "name: value" by lines
		want    string
	}{
		{"", ""},
		{"authorization: Bearer sk-1", "sk-1"},
		{"authorization: bearer sk-1", "sk-1"},
		{"authorization: BEARER   sk-1 ", "sk-1"},
		{"authorization: sk-1", "sk-1"},
		{"authorization: Bearer", ""},
		{"authorization: Bearer ", ""},
		{"authorization: Basic sk-1", "sk-1"},
		{"authorization: AWS4-HMAC-SHA256 Credential=Bearer sk-1/20260101/us-east-1/x/aws4_request, SignedHeaders=host", "sk-1"},
		{"authorization: AWS4-HMAC-SHA256 Credential=sk-1/20260101/us-east-1/x/aws4_request, SignedHeaders=host", "sk-1"},
		{"authorization: AWS4-HMAC-SHA256 SignedHeaders=host", ""},
		{"x-api-key: sk-1", "sk-1"},
		{"api-key: sk-1", "sk-1"},
		{"x-goog-api-key: sk-1", "sk-1"},
		{"ocp-apim-subscription-key: sk-1", "sk-1"},
		{"x-api-key: sk-2\napi-key: sk-1", "sk-1"},
		{"x-api-key: sk-2\nauthorization: Bearer sk-1", "sk-1"},
		{"authorization: Bearer sk-2\nx-litellm-api-key: Bearer sk-1", "sk-1"},
		{"authorization: Bearer sk-2\nx-litellm-api-key: sk-1", "sk-1"},
	}
	for _, tt := range tests {
		h := map[string]string{}
		for line := range strings.Lines(tt.headers) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			h[name] = value
		}
		if got := FromHeaders(func(name string) string { return h[name] }); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.headers, got, tt.want)
		}
	}
}

func TestAllowsModel(t *testing.T) {
	tests := []struct {
		models []string
		model  string
		want   bool
	}{
		{nil, "a", true},
		{[]string{"a"}, "a", true},
		{[]string{"a"}, "ab", false},
		{[]string{"b", "all-proxy-models"}, "a", true},
		{[]string{"*"}, "a", true},
		{[]string{"openai/*"}, "openai/gpt-4o", true},
		{[]string{"openai/*"}, "openai/*", true},
		{[]string{"openai/*"}, "anthropic/claude", false},
		{[]string{"*-turbo"}, "gpt-turbo", true},
		{[]string{"*-turbo"}, "gpt-turbo-x", false},
		{[]string{"a*b*c"}, "axxbxxc", true},
		{[]string{"a*b*c"}, "axxc", false},
		{[]string{"ab*ba"}, "aba", false},
	}
	for _, tt := range tests {
		if got := New(master).Allows(&Key{Models: tt.models}, tt.model); got != tt.want {
			t.Errorf("%v %q: %v", tt.models, tt.model, got)
		}
	}
}

func TestKeyName(t *testing.T) {
	for token, want := range map[string]string{
		"": "sk-...", "sk-short": "sk-...", "sk-0123456789abcd": "sk-...abcd", "sk-0123456789ab\n\x00é": "sk-........",
	} {
		if got := KeyName(token); got != want && !strings.HasPrefix(got, "sk-...") || strings.ContainsAny(got, "\n\x00") {
			t.Errorf("%q: %q", token, got)
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	r := New(master)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Authenticate(master); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOwnHeader(t *testing.T) {
	r := NewRing(Options{Master: master, Header: "X-My-Key"})
	for header, want := range map[string]string{"x-my-key": "sk-1", "authorization": ""} {
		if got := r.Token(func(name string) string {
			if name == header {
				return "Bearer sk-1"
			}
			return ""
		}); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}
