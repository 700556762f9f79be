package adapters

import (
	"encoding/base64"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// signatureMark stands between a call's id and the signature of the thoughts that led to it. The signature
// has to come back in the next turn, and an id is what every OpenAI client sends back.
//
// https://ai.google.dev/gemini-api/docs/thought-signatures
const signatureMark = "__thought__"

// noSignature is what Google takes in place of a signature for a call that Gemini 3 did not make itself.
const noSignature = `"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="`

// calls writes a message's tool_calls, or its function_call, and what Google's own tools did.
func (w *geminiWriter) calls(i int, m *geminiMessage) *apierror.Error {
	j := 0
	for call := range m.toolCalls.Elements() {
		at := place{i, "tool_calls", j}
		f := call.Get("function")
		if n := f.Get("name"); !n.IsString() || n == `""` {
			return at.missing(".function.name")
		}
		id, signature := call.Get("id"), callSignature(call)
		if signature == "" && j == 0 && w.a.m.three {
			signature = noSignature
		}
		if !w.call(id, f, signature) {
			return at.wrong(".function.arguments", "is not a JSON object")
		}
		j++
	}
	if f := m.function; j == 0 && f.IsObject() {
		if n := f.Get("name"); !n.IsString() || n == `""` {
			return place{message: i}.missing(".function_call.name")
		}
		signature := f.At("provider_specific_fields", "thought_signature")
		if (!signature.IsString() || signature == `""`) && w.a.m.three {
			signature = noSignature
		}
		if !w.call("", f, signature) {
			return place{message: i}.wrong(".function_call.arguments", "is not a JSON object")
		}
	}
	w.invocations(m.fields.Get("server_side_tool_invocations"))
	return nil
}

// call writes one call; ok is false if its arguments are no JSON object.
func (w *geminiWriter) call(id, f, signature jsondoc.Value) (ok bool) {
	w.part()
	w.dst = append(w.dst, `{"function_call":{"name":`...)
	w.dst = append(append(w.dst, f.Get("name")...), `,"args":`...)
	if w.dst, ok = appendArguments(w.dst, f.Get("arguments"), true); !ok {
		return false
	}
	w.id(id)
	w.dst = append(w.dst, '}')
	if signature.IsString() && signature != `""` {
		w.dst = append(append(w.dst, `,"thoughtSignature":`...), signature...)
	}
	w.dst = append(w.dst, '}')
	return true
}

// id writes a call's id without the signature in it, for models that know ids; others refuse it.
func (w *geminiWriter) id(id jsondoc.Value) {
	if !w.a.m.three || !id.IsString() {
		return
	}
	if own, _, _ := strings.Cut(id.Inner(), signatureMark); own != "" {
		w.dst = append(append(append(w.dst, `,"id":"`...), own...), '"')
	}
}

// callSignature is the signature that came with a call, or "": in the fields that this gateway's answers have,
// or else in the id.
func callSignature(call jsondoc.Value) jsondoc.Value {
	for _, v := range [...]jsondoc.Value{
		call.At("provider_specific_fields", "thought_signature"),
		call.At("function", "provider_specific_fields", "thought_signature"),
	} {
		if v.IsString() && v != `""` {
			return v
		}
	}
	if _, signature, ok := strings.Cut(call.Get("id").Inner(), signatureMark); ok && signature != "" {
		return jsondoc.Value(`"` + signature + `"`)
	}
	return ""
}

// invocations writes what Google's own tools did in an earlier turn.
func (w *geminiWriter) invocations(list jsondoc.Value) {
	put := func(name string, v jsondoc.Value) {
		if v != "" {
			w.dst = append(append(append(w.dst, name...), v...), ',')
		}
	}
	end := func(signature jsondoc.Value) {
		w.dst = append(w.dst[:len(w.dst)-1], '}')
		if signature.IsString() {
			w.dst = append(append(w.dst, `,"thoughtSignature":`...), signature...)
		}
		w.dst = append(w.dst, '}')
	}
	for t := range list.Elements() {
		if !t.Get("id").Exists() {
			continue
		}
		w.part()
		w.dst = append(w.dst, `{"toolCall":{`...)
		put(`"toolType":`, t.Get("tool_type"))
		put(`"id":`, t.Get("id"))
		put(`"args":`, t.Get("args"))
		end(t.Get("thought_signature"))
		if response := t.Get("response"); response != "" {
			w.part()
			w.dst = append(w.dst, `{"toolResponse":{`...)
			put(`"id":`, t.Get("id"))
			put(`"response":`, response)
			put(`"toolType":`, t.Get("tool_type"))
			end(t.Get("response_thought_signature"))
		}
	}
}

// toolResult writes the result of a call, which goes by the function's name.
func (w *geminiWriter) toolResult(i int) *apierror.Error {
	m := &w.messages[i]
	function := w.functionOf(i)
	if !function.IsString() || function == `""` {
		return place{message: i}.wrong(".tool_call_id", "belongs to no call of an earlier message")
	}
	w.part()
	w.dst = append(append(append(w.dst, `{"function_response":{"name":`...), function...), `,"response":`...)
	media, err := w.response(i, m.content)
	if err != nil {
		return err
	}
	w.id(m.toolCallID)
	if len(media) > 0 {
		w.dst = append(append(append(w.dst, `,"parts":[`...), media[1:]...), ']')
	}
	w.dst = append(w.dst, "}}"...)
	w.text = true
	return nil
}

// functionOf is the name of the function whose result message i is: the nearest earlier call of that id, or the name
// that the message has. It is asked in the order of the messages.
func (w *geminiWriter) functionOf(i int) jsondoc.Value {
	for ; w.called < i; w.called++ {
		for call := range w.messages[w.called].toolCalls.Elements() {
			id := call.Get("id")
			if at, ok := w.functions[id]; ok && at.message == w.called {
				continue
			}
			if w.functions == nil {
				w.functions = map[jsondoc.Value]calledFunction{}
			}
			w.functions[id] = calledFunction{w.called, call.At("function", "name")}
		}
	}
	m := &w.messages[i]
	if f, ok := w.functions[m.toolCallID]; ok && m.toolCallID.IsString() {
		return f.name
	}
	return m.name
}

// calledFunction is the name of a function that a message called.
type calledFunction struct {
	message int
	name    jsondoc.Value
}

// response writes a result's text: an object as it is, anything else as its content. media are the parts
// beside it, each after a comma.
func (w *geminiWriter) response(i int, content jsondoc.Value) (media []byte, err *apierror.Error) {
	if content.IsString() {
		inner := content.Inner()
		if strings.HasPrefix(inner, "data:image/") {
			if kind, data, ok := cutDataURL(content.Text()); ok {
				w.dst = append(w.dst, `{"content":""}`...)
				return appendMedia(nil, kind, data), nil
			}
		}
		w.resultText(content)
		return nil, nil
	}
	text := []byte{'"'}
	j := 0
	for part := range content.Elements() {
		at := place{i, "content", j}
		j++
		switch part.Get("type").Text() {
		case "text", "input_text":
			text = append(text, part.Get("text").Inner()...)
		case "image_url", "input_image":
			v := part.Get("image_url")
			if v.IsObject() {
				v = v.Get("url")
			}
			media, err = w.resultMedia(media, at, ".image_url", v)
		case "file", "input_file":
			v := part.Get("file_data")
			if !v.IsString() {
				v = part.At("file", "file_data")
			}
			media, err = w.resultMedia(media, at, ".file.file_data", v)
		case "image":
			if source := part.Get("source"); source.Get("type").Is("base64") && isBase64(source.Get("data").Inner()) {
				media = appendMedia(media, source.Get("media_type").Text(), source.Get("data").Inner())
			}
		default:
			err = at.wrong(".type", "is no content part that Gemini takes in a tool's result")
		}
		if err != nil {
			return nil, err
		}
	}
	w.resultText(jsondoc.Value(append(text, '"')))
	return media, nil
}

func (w *geminiWriter) resultText(text jsondoc.Value) {
	if inner := strings.TrimSpace(text.Text()); strings.HasPrefix(inner, "{") {
		var doc jsondoc.Doc
		if doc.Reset([]byte(inner), true) == nil {
			w.dst = append(w.dst, inner...)
			return
		}
	}
	w.dst = append(append(append(w.dst, `{"content":`...), text...), '}')
}

// resultMedia appends a file in a tool's result, after a comma.
func (w *geminiWriter) resultMedia(media []byte, at place, field string, v jsondoc.Value) ([]byte, *apierror.Error) {
	url := v.Text()
	if isWeb(url) {
		kind, data, err := w.a.fetched(url)
		if err != nil {
			return nil, err
		}
		return appendMedia(media, kind, base64.StdEncoding.EncodeToString(data)), nil
	}
	kind, data, ok := cutDataURL(url)
	if !ok {
		return nil, at.wrong(field, "must be an http(s) URL or a data URL such as data:image/png;base64,…")
	}
	return appendMedia(media, kind, data), nil
}

func appendMedia(dst []byte, kind, data string) []byte {
	if kind == "" {
		kind = "image/jpeg"
	}
	dst = apierror.AppendString(append(dst, `,{"inline_data":{"mime_type":`...), kind)
	return append(append(append(dst, `,"data":"`...), data...), `"}}`...)
}
