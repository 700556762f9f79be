package adapters

import (
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// bedrock speaks with the models on Amazon Bedrock: by Converse where a model has it, else in the model's own
// format by InvokeModel. It chooses by the model's name and leaves the rest to the format's dialect.
type bedrock struct{}

// format is the dialect of a call's model.
func (bedrock) format(c *call) dialect {
	if c.r.op == Embedding {
		return bedrockEmbedding{}
	}
	m := parseBedrockModel(c.model)
	if !m.invoked {
		return converse{}
	}
	if m.format == "anthropic" {
		return invokedClaude{}
	}
	return invokedText{}
}

func (bedrock) carries(op Op) bool { return op == Chat || op == Embedding }

func (b bedrock) supports(c *call) *apierror.Error {
	m := parseBedrockModel(c.model)
	if err := checkGuardrail(c, &m); err != nil {
		return err
	}
	return b.format(c).supports(c)
}

func (b bedrock) body(c *call) ([]byte, *apierror.Error) { return b.format(c).body(c) }

func (b bedrock) translator(c *call, p *Reply) translator { return b.format(c).translator(c, p) }

func (bedrock) failure(doc *jsondoc.Doc) *failure {
	if doc.Get("message") == "" && doc.Get("Message") == "" && doc.Get("__type") == "" {
		if doc.Get("error") == "" {
			return nil
		}
		return openAIFailure(doc)
	}
	return awsFailure(doc)
}
