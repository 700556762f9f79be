package admin

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/keys"
)

// lengths counts characters, and notes what it was asked.
type lengths struct{ model string }

func (l *lengths) CountTokens(model string, p Prompt) (int, *apierror.Error) {
	l.model = model
	if p.Text != nil {
		return len(*p.Text), nil
	}
	return len(p.Messages) + len(p.Contents), nil
}

func TestTokenCounter(t *testing.T) {
	l := &lengths{}
	snap := &Snapshot{Keys: keys.New("sk-master-0123456789"), Aliases: map[string]string{"alias": "chat"},
		Deployments: []Deployment{{ID: "h", Group: "chat", Model: "x/hidden", Hidden: true}, {ID: "1", Group: "chat", Model: "openai/org/gpt-4o"}}}
	s := New(Options{Snapshot: func() *Snapshot { return snap }, Tokens: l})
	for _, c := range []struct {
		body, key string
		status    int
		want      string
		model     string
	}{
		{`{"model":"chat","prompt":"hello"}`, "sk-master-0123456789", 200, `"total_tokens":5,"request_model":"chat","model_used":"org/gpt-4o","tokenizer_type":"openai_tokenizer"`, "org/gpt-4o"},
		{`{"model":"alias","messages":[]}`, "sk-master-0123456789", 200, `"total_tokens":2`, "org/gpt-4o"},
		{`{"model":"gpt-4","contents":[1]}`, "sk-master-0123456789", 200, `"model_used":"gpt-4"`, "gpt-4"},
		{`{"model":"chat"}`, "sk-master-0123456789", 400, "prompt or messages or contents", ""},
		{`{"model":"chat","messages":null,"prompt":null}`, "sk-master-0123456789", 400, "prompt or messages or contents", ""},
		{`{"prompt":"x"}`, "sk-master-0123456789", 400, `"param":"model"`, ""},
		{`{"model":1}`, "sk-master-0123456789", 400, "right shape", ""},
		{`nonsense`, "sk-master-0123456789", 400, "right shape", ""},
		{`{"model":"chat","prompt":"` + strings.Repeat("a", maxBody) + `"}`, "sk-master-0123456789", 413, "more than", ""},
		{`{"model":"chat","prompt":"hello"}`, "sk-wrong-0123456789", 401, "error", ""},
	} {
		l.model = ""
		r := httptest.NewRequest("POST", "/utils/token_counter", strings.NewReader(c.body))
		r.Header.Set("authorization", "Bearer "+c.key)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || !json.Valid(w.Body.Bytes()) || l.model != c.model {
			t.Errorf("%.60s: %d %.300s, model %q", c.body, w.Code, w.Body, l.model)
		}
	}
}
