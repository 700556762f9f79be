package tokens

import (
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// What a chat adds to its texts: LiteLLM's constants.
const (
	message     = 3 // a message
	name        = 1 // a name
	reply       = 3 // every answer is primed with its role
	withTools   = 9
	systemTools = -4 // a system message makes room for tools
	choiceNone  = 1
	choiceNamed = 7
	baseImage   = 85 // OpenAI's low detail
)

// Chat is how many tokens the prompt of a chat has: messages, and tools and tool_choice, which may be empty.
// The values must be valid JSON; what is not of OpenAI's or Anthropic's shape counts as little as it can.
func (c *Counter) Chat(messages, tools, choice jsondoc.Value) int {
	n, system := 0, false
	for m := range messages.Elements() {
		n += message + c.fields(m)
		system = system || m.Get("role").Is("system")
	}
	return n + c.extra(tools, choice, system)
}

func (c *Counter) extra(tools, choice jsondoc.Value, system bool) int {
	n := reply
	if tools.IsArray() && tools.Len() > 0 {
		n += c.Text(definitions(tools)) + withTools
		if system {
			n += systemTools
		}
	}
	switch {
	case choice.Is("none"):
		n += choiceNone
	case choice.IsObject():
		n += choiceNamed + c.Text(choice.Get("function").Get("name").Text())
	}
	return n
}

// fields counts what a message holds: its texts, whatever their names are, its parts and its tool calls.
func (c *Counter) fields(m jsondoc.Value) (n int) {
	for k, v := range m.Members() {
		key := k.Text()
		switch {
		case key == "tool_calls":
			for call := range v.Elements() {
				n += c.Text(call.Get("function").Get("arguments").Text())
			}
		case key == "function_call":
			n += c.Text(v.Get("arguments").Text())
		case v.IsString():
			n += c.Text(v.Text())
			if key == "name" {
				n += name
			}
		case key == "content" && v.IsArray():
			n += c.parts(v, 0)
		}
	}
	return n
}

// mostNested is how deep parts are followed: results of tools hold parts.
const mostNested = 8

func (c *Counter) parts(list jsondoc.Value, depth int) (n int) {
	if depth > mostNested {
		return 0
	}
	for p := range list.Elements() {
		if p.IsString() {
			n += c.Text(p.Text())
			continue
		}
		switch p.Get("type").Text() {
		case "text", "input_text":
			n += c.Text(p.Get("text").Text())
		case "image_url":
			n += picture(p.Get("image_url"))
		case "image", "input_audio", "video_url":
			n += baseImage
		case "document":
			n += c.document(p, depth)
		case "file":
			n += c.file(p.Get("file"))
		case "thinking":
			n += c.Text(p.Get("thinking").Text())
		case "tool_reference":
			n += c.Text(p.Get("tool_name").Text())
		case "tool_use":
			n += c.Text(p.Get("name").Text()) + c.Text(pythonic(p.Get("input")))
		case "tool_result":
			n += c.textOrParts(p.Get("content"), depth)
		}
	}
	return n
}

func (c *Counter) textOrParts(v jsondoc.Value, depth int) int {
	if v.IsArray() {
		return c.parts(v, depth+1)
	}
	return c.Text(v.Text())
}

func (c *Counter) document(p jsondoc.Value, depth int) int {
	n := c.Text(p.Get("title").Text()) + c.Text(p.Get("context").Text())
	source := p.Get("source")
	switch source.Get("type").Text() {
	case "text":
		return n + c.Text(source.Get("data").Text())
	case "content":
		return n + c.textOrParts(source.Get("content"), depth)
	}
	return n + baseImage
}

func (c *Counter) file(f jsondoc.Value) int {
	n := c.Text(f.Get("filename").Text())
	if f.Get("file_data").IsString() {
		n += baseImage
	}
	return n
}

// Contents is how many tokens the text of a Gemini request has.
func (c *Counter) Contents(list jsondoc.Value) (n int) {
	for m := range list.Elements() {
		for p := range m.Get("parts").Elements() {
			n += c.Text(p.Get("text").Text())
		}
	}
	return n
}

// pythonic writes JSON as Python shows the same value, which is what LiteLLM counts.
func pythonic(v jsondoc.Value) string {
	var b strings.Builder
	writePythonic(&b, v, 0)
	return b.String()
}

func writePythonic(b *strings.Builder, v jsondoc.Value, depth int) {
	switch {
	case depth > jsondoc.MaxDepth:
	case v.IsObject():
		b.WriteByte('{')
		i := 0
		for k, m := range v.Members() {
			if i++; i > 1 {
				b.WriteString(", ")
			}
			writePythonic(b, k, depth+1)
			b.WriteString(": ")
			writePythonic(b, m, depth+1)
		}
		b.WriteByte('}')
	case v.IsArray():
		b.WriteByte('[')
		i := 0
		for e := range v.Elements() {
			if i++; i > 1 {
				b.WriteString(", ")
			}
			writePythonic(b, e, depth+1)
		}
		b.WriteByte(']')
	case v.IsString():
		text := v.Text()
		quote := "'"
		if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
			quote = `"`
		}
		b.WriteString(quote)
		b.WriteString(strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(text))
		b.WriteString(quote)
	default:
		b.WriteString(literal(v))
	}
}

// literal is a number or a word of JSON's in Python.
func literal(v jsondoc.Value) string {
	switch v {
	case "true":
		return "True"
	case "false":
		return "False"
	case "null":
		return "None"
	}
	return string(v)
}
