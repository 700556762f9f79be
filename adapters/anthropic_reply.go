package adapters

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// clock and randomID are replaced by tests.
var (
	clock    = time.Now
	randomID = func() string {
		var b [12]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand would rather stop the program
		return hex.EncodeToString(b[:])
	}
)

// anthropicReply turns a message of Claude's, whole or streamed, into OpenAI's completion.
//
// https://docs.anthropic.com/en/api/messages-streaming
type anthropicReply struct {
	p *Reply
	a *anthropicCall

	doc     *jsondoc.Doc // the whole answer
	id      string       // for the client, as the inside of a JSON string
	created int64
	usage   anthropicUsage
	reason  string // stop_reason as OpenAI's finish_reason; "" until it came

	begun     bool      // a stream has told the role
	block     blockKind // the open content block
	blocks    int       // of thinking, so far
	tools     int       // tool calls so far
	arguments bool      // the open tool call has arguments
	start     jsondoc.Value
	// thoughts is the thinking, as the inside of a JSON string, for an estimate of its tokens.
	thoughts []byte
	schema   bool // the forced tool's arguments became content
}

type blockKind uint8

const (
	blockNone blockKind = iota
	blockText
	blockTool
	blockSchema // the forced tool of a response_format
	blockThinking
	blockOther // a server's tool and its result: not the client's to act on
)

func (anthropic) translator(c *call, p *Reply) translator {
	return &anthropicReply{p: p, a: newAnthropicCall(c), created: clock().Unix()}
}

// failure reads {"type":"error","error":{"type","message"}}.
//
// https://docs.anthropic.com/en/api/errors
func (anthropic) failure(doc *jsondoc.Doc) *failure {
	e := doc.Get("error")
	if !e.IsObject() {
		if doc.Get("content") != "" {
			return nil
		}
		return openAIFailure(doc)
	}
	f := &failure{message: e.Get("message").Text(), typ: e.Get("type").Text()}
	if f.message == "" {
		f.quote(e)
	}
	f.status = anthropicStatus[f.typ]
	return f
}

// anthropicStatus are the statuses that error types stand for, where none came with them: in a stream.
var anthropicStatus = map[string]int{
	"invalid_request_error": http.StatusBadRequest,
	"authentication_error":  http.StatusUnauthorized,
	"billing_error":         http.StatusBadRequest,
	"permission_error":      http.StatusForbidden,
	"not_found_error":       http.StatusNotFound,
	"request_too_large":     http.StatusBadRequest,
	"rate_limit_error":      http.StatusTooManyRequests,
	"api_error":             http.StatusInternalServerError,
	"timeout_error":         http.StatusGatewayTimeout,
	"overloaded_error":      529,
}

// finishReason is OpenAI's word for a stop_reason.
func finishReason(stop string) string {
	switch stop {
	case "max_tokens", "model_context_window_exceeded", "compaction":
		return "length"
	case "tool_use":
		return "tool_calls"
	case "refusal":
		return "content_filter"
	}
	return "stop" // end_turn, stop_sequence, pause_turn
}

// setID makes the completion's id of the message's.
func (t *anthropicReply) setID(id jsondoc.Value) {
	t.id = "chatcmpl-" + strings.TrimPrefix(id.Inner(), "msg_")
	if id.Inner() == "" {
		t.id = "chatcmpl-" + randomID()
	}
}

func (t *anthropicReply) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	content := doc.Get("content")
	if !content.IsArray() {
		return nil, t.p.bad("JSON without \"content\"")
	}
	t.doc = doc
	t.setID(doc.Get("id"))
	t.usage.update(doc.Get("usage"))
	t.p.answeredBy(doc.Get("model"))
	t.p.served(doc.Get("usage").Get("service_tier"))
	t.reason = finishReason(doc.Get("stop_reason").Text())
	message, err := t.message(nil, content)
	if err != nil {
		return nil, err
	}
	t.settle()
	dst = append(dst, `{"id":"`...)
	dst = append(append(dst, t.id...), `","object":"chat.completion","created":`...)
	dst = strconv.AppendInt(dst, t.created, 10)
	dst = append(append(dst, `,"model":`...), t.p.alias...)
	dst = append(dst, `,"choices":[{"index":0,"message":`...)
	dst = append(dst, message...)
	dst = append(append(append(dst, `,"finish_reason":"`...), t.reason...), `"}],"usage":`...)
	dst = t.usage.append(dst)
	return append(dst, '}'), nil
}

// settle reports what the answer came to.
func (t *anthropicReply) settle() {
	if t.schema && t.tools == 0 && t.reason == "tool_calls" {
		t.reason = "stop"
	}
	t.p.finish = t.reason
	t.usage.estimate(t.thoughts)
	t.p.usage, t.p.used = t.usage.total(), t.usage.told
}

// mostThoughts is how much of the thinking is kept to be counted; what follows counts by its share.
const mostThoughts = 256 << 10

// think notes a piece of the thinking, which is cut between characters.
func (t *anthropicReply) think(text string) {
	t.usage.thoughtBytes += len(text)
	if len(t.thoughts)+len(text) <= mostThoughts {
		t.thoughts = append(t.thoughts, text...)
	}
}

// message appends the assistant's message made of content blocks.
func (t *anthropicReply) message(dst []byte, content jsondoc.Value) ([]byte, *apierror.Error) {
	var text, calls, thinking, blocks, citations []byte
	index := -1
	for b := range content.Elements() {
		index++
		switch b.Get("type").Text() {
		case "text":
			text = append(text, b.Get("text").Inner()...)
			if list := b.Get("citations"); first(list) != "" { // one list a block
				citations = appendCitations(append(citations, ','), list, b.Get("text"))
			}
		case "tool_use":
			input := b.Get("input")
			if !input.IsObject() {
				return nil, t.p.bad("a tool_use block whose input is no object")
			}
			if t.a.schema != "" && b.Get("name").Is(jsonTool) {
				text = appendQuoted(text, string(input))
				t.schema = true
				continue
			}
			t.p.output += int64(len(input))
			calls = t.toolCall(append(calls, ','), index, b.Get("id"), b.Get("name"), string(input))
			t.tools++
		case "thinking", "redacted_thinking":
			t.usage.thought = true
			thinking = append(thinking, b.Get("thinking").Inner()...)
			t.think(b.Get("thinking").Inner())
			blocks = append(append(blocks, ','), b...)
		}
	}
	t.p.output += int64(len(text) + len(thinking))
	dst = append(dst, `{"role":"assistant","content":`...)
	if len(text) > 0 {
		dst = append(append(append(dst, '"'), text...), '"')
	} else {
		dst = append(dst, "null"...)
	}
	if len(calls) > 0 {
		dst = append(append(append(dst, `,"tool_calls":[`...), calls[1:]...), ']')
	}
	if len(blocks) > 0 {
		dst = append(append(append(dst, `,"reasoning_content":"`...), thinking...), '"')
		dst = append(append(append(dst, `,"thinking_blocks":[`...), blocks[1:]...), ']')
	}
	return append(t.appendSpecific(dst, citations, blocks), '}'), nil
}

// appendCitations appends a block's citations, each with the text that it stands for.
func appendCitations(dst []byte, list, text jsondoc.Value) []byte {
	dst = append(dst, '[')
	for c := range list.Elements() {
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		if !c.IsObject() {
			dst = append(dst, c...)
			continue
		}
		dst = append(append(dst, `{"supported_text":`...), asString(text)...)
		for k, v := range c.Members() {
			dst = append(append(append(append(dst, ','), k...), ':'), v...)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendSpecific appends what has no place in OpenAI's message.
func (t *anthropicReply) appendSpecific(dst, citations, blocks []byte) []byte {
	before := len(dst)
	dst = append(dst, `,"provider_specific_fields":{`...)
	start := len(dst)
	add := func(name string, v []byte) {
		if len(v) == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(append(dst, '"'), name...), `":`...), v...)
	}
	list := func(items []byte) []byte {
		if len(items) == 0 {
			return nil
		}
		return append(append([]byte{'['}, items[1:]...), ']')
	}
	add("citations", list(citations))
	add("thinking_blocks", list(blocks))
	for _, name := range [...]string{"context_management", "container"} {
		if v := t.doc.Get(name); v.Exists() {
			add(name, []byte(v))
		}
	}
	if len(dst) == start {
		return dst[:before]
	}
	return append(dst, '}')
}

// toolCall appends a tool call of the whole answer.
func (t *anthropicReply) toolCall(dst []byte, index int, id, name jsondoc.Value, arguments string) []byte {
	// No whole answer of OpenAI's has an index, but LiteLLM's have, and clients rely on it: the block's.
	dst = strconv.AppendInt(append(dst, `{"index":`...), int64(index), 10)
	dst = append(dst, `,"id":`...)
	if !id.IsString() {
		id = `""`
	}
	dst = append(append(dst, id...), `,"type":"function","function":{"name":`...)
	dst = t.a.names.appendBack(dst, name)
	dst = append(dst, `,"arguments":"`...)
	dst = appendQuoted(dst, arguments)
	return append(dst, `"}}`...)
}

// appendQuoted appends the inside of the JSON string for s.
func appendQuoted(dst []byte, s string) []byte {
	before := len(dst)
	dst = apierror.AppendString(dst, s)
	copy(dst[before:], dst[before+1:])
	return dst[:len(dst)-2]
}
