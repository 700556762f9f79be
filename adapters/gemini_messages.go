package adapters

import "github.com/sluicegw/sluice/adapters/jsondoc"

// geminiMessage is one message taken apart in a single pass.
type geminiMessage struct {
	kind                               geminiRole
	role, content, name                jsondoc.Value
	toolCalls, toolCallID, function    jsondoc.Value
	reasoning, fields, images, refusal jsondoc.Value
}

type geminiRole uint8

const (
	geminiUnknown geminiRole = iota
	geminiUser
	geminiSystem
	geminiAssistant
	geminiTool // the result of a tool or function
)

func readGeminiMessages(list jsondoc.Value) []geminiMessage {
	out := make([]geminiMessage, 0, 16)
	list.Rows(func(i int, k, v jsondoc.Value) bool {
		if i == len(out) {
			out = append(out, geminiMessage{})
		}
		if v == "null" {
			return true
		}
		m := &out[i]
		switch name(k) {
		case "role":
			m.role = v
			switch name(v) {
			case "user":
				m.kind = geminiUser
			case "system", "developer":
				m.kind = geminiSystem
			case "assistant":
				m.kind = geminiAssistant
			case "tool", "function":
				m.kind = geminiTool
			}
		case "content":
			m.content = v
		case "name":
			m.name = v
		case "tool_calls":
			m.toolCalls = v
		case "tool_call_id":
			m.toolCallID = v
		case "function_call":
			m.function = v
		case "reasoning_content":
			m.reasoning = v
		case "provider_specific_fields":
			m.fields = v
		case "images":
			m.images = v
		case "refusal":
			m.refusal = v
		}
		return true
	})
	return out
}
