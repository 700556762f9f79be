package adapters

import (
	"strings"
	"unicode/utf8"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// appendOllamaPrompt appends the conversation for /api/generate: one prompt with a heading before each
// turn, and the images. A completion's prompt goes as it is.
//
// https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-completion
func appendOllamaPrompt(dst []byte, c *call) ([]byte, *apierror.Error) {
	messages := readMessages(c.get("messages"))
	dst = append(dst, `,"prompt":`...)
	if c.text {
		return appendTexts(dst, messages[0].content), nil
	}
	p := ollamaPrompt{messages: messages, note: toolNote(ollamaTools(c))}
	text, err := p.text()
	if err != nil {
		return nil, err
	}
	dst = apierror.AppendString(dst, text)
	dst = append(dst, `,"images":[`...)
	start := len(dst)
	for i := range messages {
		if messages[i].kind != roleUser || !messages[i].content.IsArray() {
			continue
		}
		before := len(dst)
		if before > start {
			dst = append(dst, ',')
		}
		after := len(dst)
		if dst, err = appendBareImages(dst, c, i, messages[i].content); err != nil {
			return nil, err
		}
		if len(dst) == after {
			dst = dst[:before]
		}
	}
	return append(dst, ']'), nil
}

// ollamaPrompt puts the turns of a conversation together.
type ollamaPrompt struct {
	messages []message
	note     string // about the tools, for the system's turns
	out      strings.Builder
}

func (p *ollamaPrompt) text() (string, *apierror.Error) {
	noted := p.note == ""
	for i := 0; i < len(p.messages); {
		begin := i
		var texts []string
		for ; i < len(p.messages) && p.messages[i].kind == roleUser; i++ {
			texts = append(texts, textsOf(p.messages[i].content)...)
		}
		p.turn("User", strings.Join(texts, "\n"))
		system := ""
		for ; i < len(p.messages) && p.messages[i].kind == roleSystem; i++ {
			system += strings.Join(textsOf(p.messages[i].content), "")
			if p.note != "" {
				system += " " + p.note
				noted = true
			}
		}
		p.turn("System", system)
		assistant := ""
		for ; i < len(p.messages) && p.messages[i].kind == roleAssistant; i++ {
			m := &p.messages[i]
			assistant += strings.Join(textsOf(m.content), "")
			calls, err := callsAsText(i, m.toolCalls)
			if err != nil {
				return "", err
			}
			if calls != "" && assistant != "" {
				assistant += "\n"
			}
			assistant += calls
		}
		p.turn("Assistant", assistant)
		if i == begin {
			return "", place{message: i}.wrong(".role", "is none that ollama has: use user, assistant, system or tool")
		}
	}
	if !noted {
		p.turn("System", p.note)
	}
	return p.out.String(), nil
}

func (p *ollamaPrompt) turn(who, text string) {
	if text != "" {
		p.out.WriteString("### " + who + ":\n" + text + "\n\n")
	}
}

// textsOf lists the texts of a message that are not empty.
func textsOf(content jsondoc.Value) []string {
	var out []string
	add := func(s string) {
		if s != "" {
			out = append(out, s)
		}
	}
	add(content.Text())
	for part := range content.Elements() {
		if part.IsString() {
			add(part.Text())
		} else {
			add(part.Get("text").Text())
		}
	}
	return out
}

// callsAsText writes an assistant's tool calls as it was asked to write them.
func callsAsText(i int, calls jsondoc.Value) (string, *apierror.Error) {
	var out []string
	j := 0
	for call := range calls.Elements() {
		f := call.Get("function")
		arguments, ok := argumentsObject(f.Get("arguments"))
		if !ok {
			return "", place{i, "tool_calls", j}.wrong(".function.arguments", "must be a string with a JSON object in it")
		}
		j++
		out = append(out, string(appendSpaced(append(append([]byte(`{"name": `), asString(f.Get("name"))...), `, "arguments": `...), arguments, false))+"}")
	}
	return strings.Join(out, "\n"), nil
}

// toolNote tells a model without tools how to call one all the same.
func toolNote(tools jsondoc.Value) string {
	if tools == "" {
		return ""
	}
	note := []byte(`To call a function, reply with JSON ONLY in this format {"name": "function_name", "arguments":{"argument_name": "argument_value"}}. ` +
		`Once a function result answers the request, reply to the user in plain text instead of calling a function again. ` +
		`The following functions are available to you:`)
	for tool := range tools.Elements() {
		note = append(appendSpaced(append(note, '\n'), tool, true), '\n')
	}
	return string(note)
}

// appendSpaced appends JSON with a space after commas and colons, as LiteLLM's prompts have it; with
// python also with Python's quotes and names, which is how it lists functions.
func appendSpaced(dst []byte, v jsondoc.Value, python bool) []byte {
	switch {
	case v.IsObject():
		dst = append(dst, '{')
		start := len(dst)
		for k, m := range v.Members() {
			if len(dst) > start {
				dst = append(dst, ", "...)
			}
			dst = append(appendSpaced(dst, k, python), ": "...)
			dst = appendSpaced(dst, m, python)
		}
		return append(dst, '}')
	case v.IsArray():
		dst = append(dst, '[')
		start := len(dst)
		for e := range v.Elements() {
			if len(dst) > start {
				dst = append(dst, ", "...)
			}
			dst = appendSpaced(dst, e, python)
		}
		return append(dst, ']')
	case python && v.IsString():
		return appendPythonString(dst, v.Text())
	case python && v == "true":
		return append(dst, "True"...)
	case python && v == "false":
		return append(dst, "False"...)
	case python && v == "null":
		return append(dst, "None"...)
	}
	return append(dst, v...)
}

// appendPythonString appends s in the quotes that Python would choose.
func appendPythonString(dst []byte, s string) []byte {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	dst = append(dst, quote)
	for _, r := range s {
		switch {
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\\' || r == rune(quote):
			dst = append(dst, '\\', byte(r))
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, quote)
}
