package extproc

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/route"
)

func chatRequest(t *testing.T, members string) *adapters.Request {
	t.Helper()
	body := `{"model":"m","messages":[{"role":"user","content":"hi"}]`
	if strings.Contains(members, `"messages"`) {
		body = `{"model":"m"`
	}
	if members != "" {
		body += "," + members
	}
	r, err := adapters.Parse(adapters.Chat, []byte(body+"}"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTagsOfRequests(t *testing.T) {
	many := strings.Repeat(`"x",`, 100) + `"` + strings.Repeat("y", 300) + `"`
	tests := []struct{ members, header, want string }{
		{"", "", ""},
		{`"metadata":{"tags":["a","b"]}`, "", "a b"},
		{`"tags":["a"],"metadata":{"tags":["b","a"]}`, "c, d,,b", "b a c d"},
		{`"metadata":{"tags":"a"}`, "", ""},
		{`"metadata":{"tags":[1,null,{"a":1},"ok"]}`, "", "ok"},
		{`"metadata":"text","tags":{"a":1}`, "", ""},
		{`"metadata":{"tags":["!a","&b"," c "]}`, "", "!a &b c"},
		{`"tags":[` + many + `]`, "", "x"},
	}
	for _, tt := range tests {
		c := &Call{headers: wire.Headers{{Name: "x-litellm-tags", Value: tt.header}}}
		if got := strings.Join(c.tags(chatRequest(t, tt.members)), " "); got != tt.want {
			t.Errorf("%.60s + %q: %q, want %q", tt.members, tt.header, got, tt.want)
		}
	}
	var b strings.Builder
	for i := range 200 {
		b.WriteString(strings.Repeat("t", i%100+1) + ",")
	}
	c := &Call{headers: wire.Headers{{Name: "x-litellm-tags", Value: b.String()}}}
	if n := len(c.tags(chatRequest(t, ""))); n != mostTags {
		t.Errorf("%d tags", n)
	}
}

func TestSessionOfRequests(t *testing.T) {
	all := route.BySession | route.ByUser | route.ByPrompt | route.ByKey
	key := func(by route.Affinity, id string) uint64 { return route.SessionKey(by, id) }
	hi := `[{"role":"user","content":"hi"}`
	tests := []struct {
		name, members, header string
		by                    route.Affinity
		want                  uint64
	}{
		{"header", `"user":"u"`, "s1", all, key(route.BySession, "s1")},
		{"body", `"litellm_session_id":"s2"`, "", all, key(route.BySession, "s2")},
		{"metadata", `"metadata":{"session_id":"s3"}`, "", all, key(route.BySession, "s3")},
		{"user", `"user":"u"`, "", all, key(route.ByUser, "u")},
		{"not asked for", `"user":"u"`, "s1", route.ByUser, key(route.ByUser, "u")},
		{"cache key", `"prompt_cache_key":"p"`, "", all, key(route.ByPrompt, "p")},
		{"opening", "", "", all, key(route.ByPrompt, hi)},
		{"key", `"user":"u"`, "s1", route.ByKey, key(route.ByKey, "hash")},
		{"nothing", `"user":7`, "", route.BySession | route.ByUser, 0},
	}
	for _, tt := range tests {
		c := &Call{key: &keys.Key{Hash: "hash"}, headers: wire.Headers{{Name: "x-litellm-session-id", Value: tt.header}}}
		if got := c.session(chatRequest(t, tt.members), tt.by); got != tt.want {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.want)
		}
	}
}

// The beginning of a conversation stays the same while it grows, and nothing makes it fail.
func TestOpening(t *testing.T) {
	begin := `[{"role":"system","content":"a \"user\" {[\\"},{"role":"assistant","content":[{"type":"text","text":"x"}]},{"role":"user","content":"hello"}`
	for _, text := range []string{begin + "]", begin + `,{"role":"assistant","content":"y"},{"role":"user","content":"z"}]`} {
		if got := string(opening([]byte(text))); got != begin {
			t.Errorf("%s", got)
		}
	}
	for in, want := range map[string]string{
		"": "", "[]": "[]", `{"role":"user"}`: `{"role":"user"}`, `[{"role":"system","content":"s"}]`: `[{"role":"system","content":"s"}]`,
		`[[`: `[[`, `]]]`: `]]]`, `[{"role":"user"`: `[{"role":"user"`, `["\`: `["\`,
	} {
		if got := string(opening([]byte(in))); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	long := `[{"role":"system","content":"` + strings.Repeat("s", longestOpening) + `"},{"role":"user","content":"a"}]`
	if n := len(opening([]byte(long))); n != longestOpening {
		t.Errorf("%d bytes", n)
	}
}

func FuzzOpening(f *testing.F) {
	f.Add([]byte(`[{"role":"user","content":"hi"}]`))
	f.Add([]byte(`[[{]}"\"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := opening(b); len(got) > len(b) || string(got) != string(b[:len(got)]) {
			t.Error("not a beginning")
		}
	})
}

func TestEstimates(t *testing.T) {
	r := chatRequest(t, `"messages":[{"role":"user","content":"`+strings.Repeat("word ", 800)+`"}],"max_tokens":500`)
	if n := estimateTokens(r); n < 1400 || n > 1800 {
		t.Errorf("about 1,000 and 500 tokens are estimated as %d", n)
	}
	if n := estimateTokens(chatRequest(t, `"max_completion_tokens":7`)); n < 7 || n > 40 {
		t.Errorf("%d", n)
	}
}

func TestOwnLists(t *testing.T) {
	tests := []struct{ members, want string }{
		{"", `{}`},
		{`"fallbacks":["a"]`, `{}`},
		{`"fallbacks":[{"model":"a","temperature":1}]`, `{}`},
		{`"fallbacks":[{"m":["a","b"]},{"*":["c"]}]`, `{"Ordinary":{"*":["c"],"m":["a","b"]}}`},
		{`"context_window_fallbacks":[{"m":["a"]}],"content_policy_fallbacks":[]`, `{"Context":{"m":["a"]},"Policy":{}}`},
		{`"context_window_fallbacks":["a","b"]`, `{"Context":{"*":["a","b"]}}`},
		{`"context_window_fallbacks":null`, `{}`},
		{`"context_window_fallbacks":{"m":["a"]}`, "context_window_fallbacks must be an array"},
		{`"content_policy_fallbacks":[1]`, "content_policy_fallbacks[0] must be an object"},
		{`"content_policy_fallbacks":[{"m":["` + strings.Repeat("x", 600) + `"]}]`, "a model's name has at most"},
		{`"content_policy_fallbacks":[{"m":[` + strings.Repeat(`"x",`, 20) + `"x"]}]`, "too many entries"},
		{`"content_policy_fallbacks":[` + strings.Repeat(`{"m":[]},`, 20) + `{"m":[]}]`, "has 21 entries"},
	}
	for _, tt := range tests {
		var a route.Ask
		err := (&Call{server: &Server{Options: Options{MaxHeld: 1 << 20}}}).ownFallbacks(chatRequest(t, tt.members), &a)
		l, got := a.Lists, ""
		if err != nil {
			got = err.Message
		} else {
			out := map[string]map[string][]string{}
			for name, of := range map[string]map[string][]string{"Ordinary": l.Ordinary, "Context": l.Context, "Policy": l.Policy} {
				if of != nil {
					out[name] = of
				}
			}
			b, _ := json.Marshal(out)
			got = string(b)
		}
		if err == nil && got != tt.want || err != nil && !strings.Contains(got, tt.want) {
			t.Errorf("%.80s: %s, want %s", tt.members, got, tt.want)
		}
	}
}

func TestWishedWait(t *testing.T) {
	for text, want := range map[string]string{"": "0s", "0": "0s", "null": "0s", "1.5": "1.5s", `"2"`: "2s", "60": "1m0s", "61": "!", "-1": "!", "NaN": "!", "[]": "!"} {
		got := "!"
		if d, err := wishedWait([]byte(text)); err == nil {
			got = d.String()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
