package adapters

import (
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// vertexAI is the dialect of Vertex AI, which is that of whoever made the model.
//
// https://cloud.google.com/vertex-ai/generative-ai/docs/models
type vertexAI struct{}

// publisher is who made a model on Vertex AI, by the format that its API has.
type publisher uint8

const (
	google     publisher = iota // generateContent, and predict for embeddings
	claudes                     // Anthropic's Messages API
	openModels                  // OpenAI's API, one endpoint for all models
	mistralAI                   // OpenAI's API at the model's own path
	ai21Labs                    // likewise
)

// publisherOf reads the publisher off a model's name, as LiteLLM does.
func publisherOf(model string) publisher {
	switch {
	case strings.HasPrefix(model, "claude"):
		return claudes
	case strings.HasPrefix(model, "mistral"), strings.HasPrefix(model, "codestral"):
		return mistralAI
	case strings.HasPrefix(model, "jamba"):
		return ai21Labs
	}
	for _, prefix := range [...]string{
		"meta/", "deepseek-ai", "qwen", "openai/gpt-oss-", "minimaxai/", "moonshotai/", "zai-org/", "google/gemma-",
	} {
		if strings.HasPrefix(model, prefix) {
			return openModels
		}
	}
	return google
}

func (vertexAI) of(c *call) dialect {
	switch publisherOf(c.model) {
	case google:
		return gemini{vertex: true}
	case claudes:
		return anthropic{}
	}
	return openAI{}
}

func (vertexAI) carries(op Op) bool { return op == Chat || op == Embedding }

func (v vertexAI) supports(c *call) *apierror.Error {
	d := v.of(c)
	if !d.carries(c.r.op) || c.r.op == Embedding && publisherOf(c.model) != google {
		return refused("model", "Model %s on vertex_ai has no API for %s requests.", c.model, c.r.op)
	}
	if publisherOf(c.model) == mistralAI {
		c.model, _, _ = strings.Cut(c.model, "@")
	}
	return d.supports(c)
}

func (v vertexAI) body(c *call) ([]byte, *apierror.Error) { return v.of(c).body(c) }

func (v vertexAI) translator(c *call, p *Reply) translator { return v.of(c).translator(c, p) }

func (vertexAI) failure(doc *jsondoc.Doc) *failure { return googleFailure(doc) }

func (vertexAI) classify(status int, f *failure) (apierror.Kind, int) {
	return classifyGoogle(status, f)
}

// vertexByTool tells the models that get a JSON schema as a forced tool: Vertex has Claude's structured
// outputs for the newest only.
func vertexByTool(model string) bool {
	m := claudeOf(model)
	return publisherOf(model) == claudes && !m.atLeast(5, 1)
}
