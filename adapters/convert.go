package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// collect reads a stream that came where none was expected, or could not be read in pieces: the
// client's stream, or the one answer that its chunks make.
func (p *Reply) collect(body []byte) ([]byte, *apierror.Error) {
	asked := p.call.r.includeUsage
	if !p.call.r.stream {
		// The usage belongs into an answer that is no stream. The request is shared: change a copy.
		r := *p.call.r
		r.includeUsage = true
		p.call.r = &r
	}
	if p.split = p.frames; p.split == nil {
		p.split = &framing.SSE{}
	}
	out := p.End(p.Events(make([]byte, 0, len(body)+len(body)/4), body))
	if p.err != nil {
		return nil, p.err
	}
	if p.call.r.stream {
		return out, nil
	}
	p.call.r.includeUsage = asked
	a := assembly{p: p}
	return a.assemble(out)
}

// unroll makes a stream of an answer that came whole.
func (p *Reply) unroll(whole []byte) ([]byte, *apierror.Error) {
	if err := p.doc.Reset(whole, true); err != nil {
		return nil, p.bad("%s", err)
	}
	dst := make([]byte, 0, 2*len(whole)+256)
	object, text := "chat.completion.chunk", p.doc.Get("object").Is("text_completion")
	if text {
		object = "text_completion"
	}
	head := func() {
		dst = append(dst, `data: {`...)
		for _, m := range p.doc.Members() {
			switch m.Name {
			case "choices", "usage", "object":
				continue
			}
			dst = append(append(dst, p.doc.Text()[m.Key:m.End]...), ',')
		}
		dst = append(append(append(dst, `"object":"`...), object...), `","choices":[`...)
	}
	for c := range p.doc.Get("choices").Elements() {
		head()
		dst = appendChunkChoice(dst, c, text)
		dst = append(dst, "]}\n\n"...)
	}
	if u := p.doc.Get("usage"); p.call.r.includeUsage && u.IsObject() {
		head()
		dst = append(append(append(dst, `],"usage":`...), p.unrolledUsage(u, text)...), "}\n\n"...)
	}
	return append(dst, done...), nil
}

// unrolledUsage is a whole answer's usage in the stream made of it, which tells no details that say nothing.
func (p *Reply) unrolledUsage(u jsondoc.Value, text bool) jsondoc.Value {
	plain := u
	if p.usage.CachedRead+p.usage.CacheWrite+p.usage.Reasoning == 0 {
		plain = jsondoc.Value(appendUsage(nil, Usage{
			Prompt: u.Get("prompt_tokens").Count(), Completion: u.Get("completion_tokens").Count(), Total: u.Get("total_tokens").Count(),
		}))
	}
	p.spoken.calls = text || first(first(p.doc.Get("choices")).At("message", "tool_calls")) != ""
	return p.fullUsage(plain)
}

// appendChunkChoice appends a whole choice as a chunk's: the message is the delta, its tool calls have
// an index.
func appendChunkChoice(dst []byte, c jsondoc.Value, text bool) []byte {
	if text {
		return append(dst, c...)
	}
	dst = append(dst, '{')
	start := len(dst)
	for k, v := range c.Members() {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		if !k.Is("message") {
			dst = append(append(append(dst, k...), ':'), v...)
			continue
		}
		dst = append(dst, `"delta":{`...)
		inner := len(dst)
		for mk, mv := range v.Members() {
			if len(dst) > inner {
				dst = append(dst, ',')
			}
			dst = append(append(dst, mk...), ':')
			if mk.Is("tool_calls") {
				dst = appendIndexed(dst, mv)
			} else {
				dst = append(dst, mv...)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func appendIndexed(dst []byte, calls jsondoc.Value) []byte {
	if !calls.IsArray() {
		return append(dst, calls...)
	}
	dst = append(dst, '[')
	i := 0
	for call := range calls.Elements() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"index":`...), int64(i), 10)
		for k, v := range call.Members() {
			if !k.Is("index") {
				dst = append(append(append(append(dst, ','), k...), ':'), v...)
			}
		}
		dst = append(dst, '}')
		i++
	}
	return append(dst, ']')
}
