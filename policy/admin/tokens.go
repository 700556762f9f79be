package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// TokenCounter counts the tokens of a prompt with the tokenizer of a model, named as its provider does. p is
// of the request's shapes, not judged yet; an error is for the client.
type TokenCounter interface {
	CountTokens(model string, p Prompt) (int, *apierror.Error)
}

// Prompt is what POST /utils/token_counter counts: a text, a chat of OpenAI's or Anthropic's, or the contents
// of a Gemini request. What is null or absent is nil.
type Prompt struct {
	Text                              *string
	Messages, Contents, Tools, System json.RawMessage
}

// countTokens is LiteLLM's endpoint of the same name
// (https://docs.litellm.ai/docs/count_tokens): its tokenizers run here, no provider is asked.
func (s *Server) countTokens(w http.ResponseWriter, r *http.Request) *apierror.Error {
	snap, _, e := s.authenticate(r)
	if e != nil {
		return e
	}
	var in struct {
		Model    string          `json:"model"`
		Prompt   *string         `json:"prompt"`
		Messages json.RawMessage `json:"messages"`
		Contents json.RawMessage `json:"contents"`
		Tools    json.RawMessage `json:"tools"`
		System   json.RawMessage `json:"system"`
	}
	body, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return apierror.New(apierror.TooLarge, http.StatusRequestEntityTooLarge, "The request body has more than %d bytes.", large.Limit)
	}
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if err != nil {
		return apierror.New(apierror.BadRequest, http.StatusBadRequest, "The request body is not a JSON object of the right shape: %s.", err)
	}
	p := Prompt{in.Prompt, unlessNull(in.Messages), unlessNull(in.Contents), unlessNull(in.Tools), unlessNull(in.System)}
	switch {
	case in.Model == "":
		return wrongParam("model", "'model' is missing.")
	case p.Text == nil && p.Messages == nil && p.Contents == nil:
		return wrongParam("messages", "prompt or messages or contents must be provided")
	}
	model := snap.upstream(in.Model)
	total, e := s.o.Tokens.CountTokens(model, p)
	if e != nil {
		return e
	}
	return answer(w, http.StatusOK, struct {
		TotalTokens      int     `json:"total_tokens"`
		RequestModel     string  `json:"request_model"`
		ModelUsed        string  `json:"model_used"`
		TokenizerType    string  `json:"tokenizer_type"`
		CountSource      string  `json:"count_source"`
		OriginalResponse *string `json:"original_response"`
		Error            bool    `json:"error"`
		ErrorMessage     *string `json:"error_message"`
		StatusCode       *int    `json:"status_code"`
	}{TotalTokens: total, RequestModel: in.Model, ModelUsed: model, TokenizerType: "openai_tokenizer", CountSource: "local_estimate"})
}

// upstream is the provider's name for a model group's model; a name that is no group is a model's own.
func (s *Snapshot) upstream(model string) string {
	if group, ok := s.Aliases[model]; ok {
		model = group
	}
	for i := range s.Deployments {
		if d := &s.Deployments[i]; d.Group == model && !d.Hidden {
			model = d.Model
			break
		}
	}
	_, name, ok := strings.Cut(model, "/")
	if !ok {
		return model
	}
	return name
}

func unlessNull(v json.RawMessage) json.RawMessage {
	if string(v) == "null" {
		return nil
	}
	return v
}

func wrongParam(param, message string) *apierror.Error {
	e := apierror.New(apierror.BadRequest, http.StatusBadRequest, "%s", message)
	e.Param = param
	return e
}
