package adapters

import (
	"math/bits"
	"strconv"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/internal/apierror"
)

func (t *geminiReply) event(dst []byte, ev framing.Event) ([]byte, *apierror.Error) {
	doc, err := t.p.eventDoc(ev)
	if err != nil {
		return dst, err
	}
	if doc.Get("error").Exists() {
		return dst, t.p.reported(googleFailure(doc))
	}
	t.setID(doc.Get("responseId"))
	t.p.answeredBy(doc.Get("modelVersion"))
	candidates := doc.Get("candidates")
	if doc.Get("promptFeedback").Get("blockReason").Exists() {
		t.begun, t.finished, t.p.finish = t.begun|1, t.finished|1, "content_filter"
		dst = append(t.open(dst, 0), `{"role":"assistant","content":null},"finish_reason":"content_filter"}]}`+"\n\n"...)
	}
	i := 0
	for v := range candidates.Elements() {
		c := readCandidate(v, i)
		t.usage.grounded(c.grounding)
		dst = t.candidate(dst, &c)
		i++
	}
	t.usage.update(doc.Get("usageMetadata"))
	t.settle(t.begun == 0 || t.begun != t.finished)
	return dst, nil
}

// candidate appends the events for a piece of a candidate.
func (t *geminiReply) candidate(dst []byte, c *geminiCandidate) []byte {
	index := c.index & 63
	bit := uint64(1) << index
	if t.finished&bit != 0 {
		return dst // an afterthought, such as ratings
	}
	before := t.calls
	m := t.read(c)
	if t.callers&bit != 0 {
		m.function = nil // there is room for one
	}
	if t.calls > before {
		t.callers |= bit
	}
	t.rich = t.rich || t.calls > 0 || len(m.images)+len(m.notes) > 0
	start := len(dst)
	dst = append(t.open(dst, index), '{')
	empty := len(dst)
	if speaks := m.said || !m.bare(); speaks && t.spoke&bit == 0 {
		dst = append(dst, `"role":"assistant",`...)
		t.spoke |= bit
	}
	t.begun |= bit
	if m.said {
		dst = append(append(append(dst, `"content":"`...), m.text...), `",`...)
	}
	if !m.bare() {
		if len(dst) > empty {
			dst = dst[:len(dst)-1] // the members beside the content begin with a comma
			dst = m.append(dst, false)
		} else {
			at := len(dst)
			dst = m.append(dst, false)
			dst = append(dst[:at], dst[at+1:]...)
		}
		dst = append(dst, ',')
	}
	if len(dst) == empty {
		dst = dst[:start]
	} else {
		dst[len(dst)-1] = '}'
		dst = appendLogprobs(dst, c.logprobs)
		dst = append(dst, `,"finish_reason":null}]}`+"\n\n"...)
	}
	if !c.reason.IsString() || c.reason == `""` {
		return dst
	}
	t.finished |= bit
	finish := geminiFinish(c.reason.Text())
	if finish == "stop" && t.callers&bit != 0 {
		finish = "tool_calls"
		if t.legacy {
			finish = "function_call"
		}
	}
	t.p.finish = finish
	dst = append(t.open(dst, index), `{},"finish_reason":"`...)
	return append(append(dst, finish...), `"}]}`+"\n\n"...)
}

// open begins an event up to a choice's delta.
func (t *geminiReply) open(dst []byte, index int64) []byte {
	dst = append(t.head(dst), `"choices":[{"index":`...)
	dst = strconv.AppendInt(dst, index, 10)
	return append(dst, `,"delta":`...)
}

func (t *geminiReply) head(dst []byte) []byte {
	dst = append(append(dst, `data: {"id":"`...), t.id...)
	dst = append(dst, `","object":"chat.completion.chunk","created":`...)
	dst = strconv.AppendInt(dst, t.created, 10)
	return append(append(append(dst, `,"model":`...), t.p.alias...), ',')
}

// end owes the usage. A stream of Gemini's has no last event: one whose candidates told why they stopped is
// whole.
func (t *geminiReply) end(dst []byte, told bool) ([]byte, bool) {
	if !told && (t.begun == 0 || t.begun != t.finished || bits.OnesCount64(t.finished) == 0) {
		return dst, false
	}
	if t.p.call.r.includeUsage && t.usage.told {
		style := usageWords
		if t.rich {
			style = usageStream
		}
		dst = append(t.head(dst), `"choices":[],"usage":`...)
		dst = t.usage.append(dst, style)
		dst = append(t.p.appendCost(dst[:len(dst)-1]), "}}\n\n"...)
	}
	return dst, true
}
