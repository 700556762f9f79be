package adapters

import (
	"encoding/base64"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// appendOllamaMessages appends the conversation for /api/chat: texts joined, images beside them as bare
// base64, arguments as objects.
//
// https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
func appendOllamaMessages(dst []byte, c *call) ([]byte, *apierror.Error) {
	dst = append(dst, `,"messages":[`...)
	messages := readMessages(c.get("messages"))
	for i := range messages {
		m := &messages[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"role":`...)
		if m.role.Is("developer") {
			dst = append(dst, `"system"`...)
		} else {
			dst = append(dst, m.role...)
		}
		if thinking := earlierThinking(m); thinking != "" {
			dst = append(append(dst, `,"thinking":`...), thinking...)
		}
		dst = append(dst, `,"content":`...)
		dst = appendTexts(dst, m.content)
		dst = append(dst, `,"images":[`...)
		var err *apierror.Error
		if dst, err = appendBareImages(dst, c, i, m.content); err != nil {
			return nil, err
		}
		dst = append(dst, ']')
		if dst, err = appendOllamaCalls(dst, i, m.toolCalls); err != nil {
			return nil, err
		}
		if m.toolCallID.IsString() {
			dst = append(append(dst, `,"tool_call_id":`...), m.toolCallID...)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']'), nil
}

// earlierThinking is the thinking of an earlier answer that the client sent back: beside the text, or in
// tags before it.
func earlierThinking(m *message) jsondoc.Value {
	if m.reasoning.IsString() {
		return m.reasoning
	}
	if thinking, _, ok := splitThinking(m.content); ok {
		return thinking
	}
	return ""
}

// splitThinking takes <think>…</think> from the beginning of a text.
func splitThinking(text jsondoc.Value) (thinking, rest jsondoc.Value, ok bool) {
	inner := text.Inner()
	if !strings.HasPrefix(inner, "<") {
		return "", text, false
	}
	for _, tag := range [...]string{"think", "thinking", "budget:thinking"} {
		if after, ok := strings.CutPrefix(inner, "<"+tag+">"); ok {
			if thought, rest, ok := strings.Cut(after, "</"+tag+">"); ok {
				return jsondoc.Value(`"` + thought + `"`), jsondoc.Value(`"` + rest + `"`), true
			}
		}
	}
	return "", text, false
}

// appendTexts appends a message's texts as one string.
func appendTexts(dst []byte, content jsondoc.Value) []byte {
	if content.IsString() {
		return append(dst, content...)
	}
	dst = append(dst, '"')
	for part := range content.Elements() {
		if part.IsString() {
			dst = append(dst, part.Inner()...)
		} else {
			dst = append(dst, part.Get("text").Inner()...)
		}
	}
	return append(dst, '"')
}

// appendBareImages appends the images of message i as strings of base64, with commas between.
func appendBareImages(dst []byte, c *call, i int, content jsondoc.Value) ([]byte, *apierror.Error) {
	j, start := -1, len(dst)
	for part := range content.Elements() {
		j++
		url := part.Get("image_url")
		if url == "" {
			continue
		}
		if url.IsObject() {
			url = url.Get("url")
		}
		if !url.IsString() {
			return nil, place{i, "content", j}.wrong(".image_url", "must be a URL, or an object with one under 'url'")
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		text := url.Inner()
		if strings.IndexByte(text, '\\') >= 0 {
			text = url.Text()
		}
		dst = append(dst, '"')
		if isWeb(text) {
			_, data, err := c.fetched(text)
			if err != nil {
				return nil, err
			}
			dst = base64.StdEncoding.AppendEncode(dst, data)
		} else if _, data, ok := cutDataURL(text); ok {
			dst = append(dst, data...)
		} else if isBase64(text) {
			dst = append(dst, text...)
		} else {
			return nil, place{i, "content", j}.wrong(".image_url", "must be an http(s) URL or a data URL such as data:image/png;base64,…")
		}
		dst = append(dst, '"')
	}
	return dst, nil
}

func appendOllamaCalls(dst []byte, i int, calls jsondoc.Value) ([]byte, *apierror.Error) {
	if !calls.IsArray() {
		return dst, nil
	}
	dst = append(dst, `,"tool_calls":[`...)
	start, j := len(dst), 0
	for call := range calls.Elements() {
		f := call.Get("function")
		arguments, ok := argumentsObject(f.Get("arguments"))
		if !ok {
			return nil, place{i, "tool_calls", j}.wrong(".function.arguments", "must be a string with a JSON object in it")
		}
		j++
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `{"function":{"name":`...), asString(f.Get("name"))...)
		dst = append(append(append(dst, `,"arguments":`...), arguments...), `}}`...)
	}
	return append(dst, ']'), nil
}

// argumentsObject is what a tool call's arguments hold: a JSON object, empty if there are none.
func argumentsObject(arguments jsondoc.Value) (jsondoc.Value, bool) {
	text := strings.TrimSpace(arguments.Text())
	if text == "" {
		return "{}", true
	}
	doc, err := jsondoc.Parse([]byte(text))
	if err != nil {
		return "", false
	}
	return jsondoc.Value(doc.Text()), true
}
