package adapters

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// invokedClaude is Anthropic's Messages API by InvokeModel: the model is in the path, the version and the beta
// features in the body.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html
type invokedClaude struct{}

const bedrockAnthropicVersion = "bedrock-2023-05-31"

func (invokedClaude) carries(op Op) bool { return op == Chat }

func (invokedClaude) supports(c *call) *apierror.Error { return anthropic{}.supports(c) }

func (invokedClaude) body(c *call) ([]byte, *apierror.Error) {
	body, err := anthropic{}.body(c)
	if err != nil {
		return nil, err
	}
	doc, e := jsondoc.Parse(body)
	if e != nil {
		return nil, refused("messages", "The request makes no valid JSON for Anthropic: %s.", e)
	}
	var patch jsondoc.Patch
	patch.Delete("model")
	patch.Delete("stream")
	if doc.Get("anthropic_version") == "" {
		patch.Set("anthropic_version", `"`+bedrockAnthropicVersion+`"`)
	}
	if format := doc.Get("output_format"); format != "" {
		patch.Delete("output_format")
		config := []byte{'{'}
		for k, v := range doc.Get("output_config").Members() {
			config = member(config, 1, k.Text(), v)
		}
		patch.Set("output_config", jsondoc.Value(append(member(config, 1, "format", format), '}')))
	}
	if betas := invokedBetas(c); len(betas) > 0 && doc.Get("anthropic_beta") == "" {
		list, _ := json.Marshal(betas)
		patch.Set("anthropic_beta", jsondoc.Value(list))
	}
	for _, name := range [...]string{"model_id", "guardrailConfig"} {
		patch.Delete(name)
	}
	return patch.Append(make([]byte, 0, len(body)+64), &doc), nil
}

// onBedrock begin the beta features that Bedrock has.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
var onBedrock = []string{"computer-use-", "context-management-", "tool-search-tool-", "fine-grained-tool-streaming-",
	"interleaved-thinking-", "context-1m-", "token-efficient-tools-", "output-128k-", "dev-full-thinking-", "effort-", "compact-", "structured-outputs-"}

// invokedBetas are the beta features that a request uses, and those that the deployment's anthropic-beta names.
func invokedBetas(c *call) (list []string) {
	for _, h := range c.headers() {
		if h.Name == "anthropic-beta" {
			for _, b := range strings.Split(h.Value, ",") {
				list = append(list, strings.TrimSpace(b))
			}
		}
	}
	for _, b := range anthropicBetas(c) {
		if slices.ContainsFunc(onBedrock, func(p string) bool { return strings.HasPrefix(b, p) }) && !slices.Contains(list, b) {
			list = append(list, b)
		}
	}
	slices.Sort(list)
	return list
}

func (invokedClaude) translator(c *call, p *Reply) translator {
	return &unchunked{p: p, inner: anthropic{}.translator(c, p)}
}

func (invokedClaude) failure(doc *jsondoc.Doc) *failure { return awsFailure(doc) }

// unchunked reads InvokeModel's stream, whose events hold the model's own in base64.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html
type unchunked struct {
	p     *Reply
	inner translator
	buf   []byte
}

func (t *unchunked) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	return t.inner.whole(dst, doc)
}

func (t *unchunked) event(dst []byte, ev framing.Event) ([]byte, *apierror.Error) {
	if ev.Exception {
		return dst, t.p.awsException(ev.Name, ev.Data)
	}
	if ev.Name != "chunk" {
		return dst, nil
	}
	doc := &t.p.doc
	if err := doc.Reset(ev.Data, true); err != nil {
		return dst, t.p.bad("an event of its stream is not a JSON object: %s", err)
	}
	var err error
	if t.buf, err = base64.StdEncoding.AppendDecode(t.buf[:0], []byte(doc.Get("bytes").Inner())); err != nil {
		return dst, t.p.bad("an event of its stream is not base64")
	}
	if len(bytes.TrimSpace(t.buf)) == 0 {
		return dst, nil
	}
	return t.inner.event(dst, framing.Event{Data: t.buf})
}

func (t *unchunked) end(dst []byte, told bool) ([]byte, bool) { return t.inner.end(dst, told) }
