package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// asChat is a completion request as the chat that a provider without the old completions API can
// answer: the prompt is what the user says.
func asChat(r *Request) (*Request, *apierror.Error) {
	prompt := r.doc.Get("prompt")
	if prompt.IsArray() {
		if prompt.Len() != 1 || !first(prompt).IsString() {
			return nil, refused("prompt", "This model's provider takes one prompt, and as a text.")
		}
		prompt = first(prompt)
	}
	if prompt == `""` {
		return nil, refused("prompt", "'prompt' must not be empty.")
	}
	var patch jsondoc.Patch
	for _, name := range [...]string{"prompt", "best_of", "echo", "suffix", "logprobs"} {
		patch.Delete(name)
	}
	patch.Set("messages", `[{"role":"user","content":`+prompt+`}]`)
	return Parse(Chat, patch.Append(make([]byte, 0, len(r.body)+64), &r.doc))
}

// completionReply makes completions of the chat completions that another translator makes.
type completionReply struct {
	p     *Reply
	inner translator
	split framing.SSE
	doc   jsondoc.Doc
	buf   []byte
}

func (t *completionReply) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	out, err := t.inner.whole(nil, doc)
	if err != nil {
		return nil, err
	}
	return t.completion(dst, out)
}

func (t *completionReply) event(dst []byte, ev framing.Event) ([]byte, *apierror.Error) {
	var err *apierror.Error
	if t.buf, err = t.inner.event(t.buf[:0], ev); err != nil {
		return dst, err
	}
	return t.events(dst)
}

func (t *completionReply) end(dst []byte, told bool) ([]byte, bool) {
	var complete bool
	if t.buf, complete = t.inner.end(t.buf[:0], told); !complete {
		return dst, false
	}
	out, err := t.events(dst)
	return out, err == nil
}

// events turns the chat events in buf into completion events.
func (t *completionReply) events(dst []byte) ([]byte, *apierror.Error) {
	for chunk := t.buf; ; {
		ev, rest, ok, err := t.split.Next(chunk)
		if err != nil {
			return dst, t.p.bad("%s", err)
		}
		if !ok {
			return dst, nil
		}
		chunk = rest
		var e *apierror.Error
		if dst, e = t.completion(append(dst, "data: "...), ev.Data); e != nil {
			return dst, e
		}
		dst = append(dst, "\n\n"...)
	}
}

// completion appends a chat completion, or a chunk of one, as a text completion.
func (t *completionReply) completion(dst, chat []byte) ([]byte, *apierror.Error) {
	if err := t.doc.Reset(chat, true); err != nil {
		return dst, t.p.bad("%s", err)
	}
	dst = append(dst, '{')
	for _, m := range t.doc.Members() {
		switch m.Name {
		case "object", "choices":
			continue
		}
		dst = append(append(dst, t.doc.Text()[m.Key:m.End]...), ',')
	}
	dst = append(dst, `"object":"text_completion","choices":[`...)
	i := 0
	for c := range t.doc.Get("choices").Elements() {
		if i > 0 {
			dst = append(dst, ',')
		}
		i++
		text := c.Get("delta").Get("content")
		if text == "" {
			text = c.Get("message").Get("content")
		}
		if !text.IsString() {
			text = `""`
		}
		finish := c.Get("finish_reason")
		if finish == "" {
			finish = "null"
		}
		dst = strconv.AppendInt(append(dst, `{"index":`...), c.Get("index").Count(), 10)
		dst = append(append(dst, `,"text":`...), text...)
		dst = append(append(append(dst, `,"logprobs":null,"finish_reason":`...), finish...), '}')
	}
	return append(dst, "]}"...), nil
}
