package extproc

import (
	"bytes"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/adapters/tokens"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// tooLong refuses a deployment whose context window the prompt does not fit into. A prompt of fewer bytes than
// the window has tokens fits without being counted, and so do most; the others are counted once a call.
func (c *Call) tooLong(d *route.Deployment, r *adapters.Request) *apierror.Error {
	if !c.windows || d.MaxInputTokens <= 0 || int64(r.Size()) <= d.MaxInputTokens {
		return nil
	}
	model := c.snapshot.Deployments[d.ID].Target.Model()
	n := c.tokens(model, r)
	if n <= d.MaxInputTokens {
		return nil
	}
	return apierror.New(apierror.ContextLength, 400, "Context Window exceeded for given call. No models have context "+
		"window large enough for this call. Model=%s, Max Input Tokens=%d, Got=%d", model, d.MaxInputTokens, n)
}

// tokens counts a prompt with a model's own tokenizer. Deployments of one tokenizer, as those of a group mostly
// are, share the count.
func (c *Call) tokens(model string, r *adapters.Request) int64 {
	counter := tokens.For(model)
	if c.counted.request == r && c.counted.by == *counter {
		return c.counted.tokens
	}
	n := int64(0)
	if messages := jsondoc.Value(r.Field("messages")); messages.IsArray() {
		n = int64(counter.Chat(messages, jsondoc.Value(r.Field("tools")), jsondoc.Value(r.Field("tool_choice"))))
	} else {
		for _, name := range [...]string{"prompt", "input"} {
			n += int64(counter.Text(string(r.Field(name))))
		}
	}
	c.counted.request, c.counted.by, c.counted.tokens = r, *counter, n
	return n
}

const (
	bytesPerToken = 4
	// longestWord is the length from which text without a space is taken for an encoded file.
	longestWord = 2 << 10
)

// breaks end a word for estimate: a file in a JSON text has none of them.
const breaks = " \"\\"

// estimate is a prompt's tokens by its bytes, those of files left out: for what need not be exact. It looks at a few
// bytes of each stretch as long as the shortest file, for most have a break near their end.
func estimate(body []byte) int64 {
	n := len(body)
	if n > 0 && bytes.LastIndexAny(body[n-1:], breaks) < 0 {
		n++ // as if it ended with a break
	}
	for start := 0; len(body)-start >= longestWord; {
		if at := bytes.LastIndexAny(body[start:start+longestWord], breaks); at >= 0 {
			start += at + 1
			continue
		}
		file := longestWord + bytes.IndexAny(body[start+longestWord:], breaks)
		if file < longestWord {
			file = len(body) - start
		}
		n -= file
		start += file + 1
	}
	return int64(n / bytesPerToken)
}
