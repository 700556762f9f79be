package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// openAI is the dialect that needs no translation: the request's fields go through with their bytes,
// apart from what a provider's quirks ask for.
//
// https://platform.openai.com/docs/api-reference/chat
type openAI struct{}

func (openAI) carries(Op) bool { return true }

func (openAI) supports(c *call) *apierror.Error {
	return c.applyQuirks()
}

func (openAI) body(c *call) ([]byte, *apierror.Error) {
	size := 64 + len(c.model)
	for i := range c.fields {
		size += len(c.fields[i].name) + len(c.fields[i].value) + 4
	}
	dst := append(make([]byte, 0, size), `{"model":`...)
	dst = apierror.AppendString(dst, c.model)
	if c.r.op == Rerank {
		return append(appendRerank(dst, c, rerankTakes), '}'), nil
	}
	for i := range c.fields {
		f := &c.fields[i]
		if f.value == "" || f.name == "model" || f.name == "stream_options" && (!c.r.stream || c.whole) {
			continue // OpenAI refuses stream_options in a call that is no stream
		}
		dst = append(apierror.AppendString(append(dst, ','), f.name), ':')
		switch {
		case f.name == "messages" && c.r.op == Chat:
			dst = appendMessages(dst, c, f.value)
		case f.name == "stream_options":
			dst = appendStreamOptions(dst, f.value)
		default:
			dst = append(dst, f.value...)
		}
	}
	if c.wantsStreamUsage() && c.get("stream_options") == "" {
		dst = append(dst, `,"stream_options":{"include_usage":true}`...)
	}
	if c.asFloats() {
		dst = append(dst, `,"encoding_format":"base64"`...)
	}
	return append(dst, '}'), nil
}

// wantsStreamUsage: a stream whose usage is not reported would go unpaid.
func (c *call) wantsStreamUsage() bool {
	return c.r.stream && !c.whole && (c.r.op == Chat || c.r.op == Completion) && !c.t.p.quirks.noStreamOptions
}

// appendStreamOptions keeps the client's options and asks for the usage.
func appendStreamOptions(dst []byte, v jsondoc.Value) []byte {
	dst = append(dst, `{"include_usage":true`...)
	for k, m := range v.Members() {
		if !k.Is("include_usage") {
			dst = append(append(append(append(dst, ','), k...), ':'), m...)
		}
	}
	return append(dst, '}')
}

func (openAI) failure(doc *jsondoc.Doc) *failure { return openAIFailure(doc) }

// openAIFailure reads the error objects of OpenAI and of what stands in for it:
// {"error":{message,type,param,code}}, {"error":"text"}, {"object":"error","message"} and {"detail"}.
func openAIFailure(doc *jsondoc.Doc) *failure {
	e := doc.Get("error")
	switch {
	case e.IsObject():
		f := &failure{message: e.Get("message").Text(), typ: e.Get("type").Text(), param: e.Get("param").Text()}
		f.setCode(e.Get("code"))
		for _, name := range [...]string{"innererror", "inner_error"} { // Azure's
			if inner := e.Get(name).Get("code"); inner.IsString() {
				f.code += " " + inner.Text()
			}
		}
		if f.message == "" {
			f.quote(e)
		}
		return f
	case e.IsString() && e != `""`:
		f := &failure{message: e.Text()}
		if m := doc.Get("message").Text(); m != "" {
			f.message = m
		}
		return f
	case doc.Get("choices").Exists() || doc.Get("data").Exists():
		return nil
	}
	if m := doc.Get("message"); m.IsString() {
		f := &failure{message: m.Text(), typ: doc.Get("type").Text(), param: doc.Get("param").Text()}
		f.setCode(doc.Get("code"))
		return f
	}
	if d := doc.Get("detail"); d.Exists() {
		f := &failure{message: d.Text()}
		if f.message == "" {
			f.quote(d)
		}
		return f
	}
	return nil
}

// setCode takes a code that is a word or, as with some, the HTTP status.
func (f *failure) setCode(v jsondoc.Value) {
	f.code = v.Text()
	n, ok := v.Int()
	if !ok {
		n, _ = strconv.ParseInt(strings.TrimSpace(f.code), 10, 64)
	}
	if n >= 400 && n <= 599 {
		f.status = int(n)
	}
}
