package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// choiceMembers and messageMembers are what OpenAI's choices and messages hold, and what LiteLLM adds to them. In a
// whole answer what else a provider tells there moves into provider_specific_fields, where LiteLLM's clients look.
var (
	choiceMembers  = setOf("finish_reason", "index", "message", "text", "logprobs", "provider_specific_fields")
	messageMembers = setOf("content", "role", "tool_calls", "function_call", "audio", "images", "reasoning_content",
		"thinking_blocks", "annotations", "provider_specific_fields", "refusal")
)

// gathers tells whether members that are not OpenAI's are moved in this answer.
func (t *openAIReply) gathers() bool {
	return t.wholly && t.p.call.r.op == Chat && !t.p.call.t.p.quirks.asIs
}

// finishWords are OpenAI's finish reasons, and others' words for them. What is not here is a stop, as in LiteLLM.
var finishWords = map[string]string{
	"stop": "stop", "length": "length", "tool_calls": "tool_calls", "function_call": "function_call", "content_filter": "content_filter",
	"max_tokens": "length", "MAX_TOKENS": "length", "model_length": "length", "tool_use": "tool_calls", "refusal": "content_filter", "SAFETY": "content_filter",
	"content_filtered": "content_filter", "guardrail_intervened": "content_filter", "sensitive": "content_filter",
}

// finishOf is OpenAI's word for a finish reason of a choice; "" while there is none.
func (t *openAIReply) finishOf(choice, reason jsondoc.Value) string {
	word := reason.Text()
	if mapped := finishWords[word]; mapped != "" {
		word = mapped
	} else if word != "" {
		word = "stop"
	}
	if !t.gathers() {
		return word
	}
	if word == "" {
		word = "stop"
	}
	if word == "stop" && first(choice.At("message", "tool_calls")) != "" {
		word = "tool_calls"
	}
	return word
}

// gather is the object of what stands beside the known members, put over what own holds already; "" for nothing.
func gather(object, own jsondoc.Value, known map[string]bool, native jsondoc.Value) jsondoc.Value {
	dst := []byte{'{'}
	for k, v := range own.Members() {
		dst = member(dst, 1, k.Text(), v)
	}
	for k, v := range object.Members() {
		if v != "null" && !known[k.Inner()] {
			dst = member(dst, 1, k.Text(), v)
		}
	}
	if native != "" {
		dst = member(dst, 1, "native_finish_reason", native)
	}
	if len(dst) == 1 {
		return ""
	}
	return jsondoc.Value(append(dst, '}'))
}

// thoughtInText tells whether a content begins with its thinking in tags.
func thoughtInText(content jsondoc.Value) bool {
	return strings.HasPrefix(content.Inner(), "<think") || strings.HasPrefix(content.Inner(), "<budget:think")
}

// cutThoughts takes the thinking off a content that begins with it.
func cutThoughts(content jsondoc.Value) (thoughts, rest jsondoc.Value) {
	thought, text, ok := cutThought(content.Text())
	if !ok {
		return "", content
	}
	return jsondoc.Value(apierror.AppendString(nil, thought)), jsondoc.Value(apierror.AppendString(nil, text))
}

// unlike tells whether a tool call is not written as OpenAI's is: one of a stream that opens without saying what kind
// it is; a whole one that also has no id, or arguments that are no text.
func (t *openAIReply) unlike(call jsondoc.Value) bool {
	if !t.wholly {
		return call.Get("type") == "" && call.Get("id").IsString()
	}
	return !call.Get("type").Exists() || !call.Get("id").Exists() || !call.At("function", "arguments").IsString()
}

// asOpenAI is a list of tool calls that OpenAI's clients can read.
func (t *openAIReply) asOpenAI(calls jsondoc.Value) jsondoc.Value {
	return jsondoc.Value(appendElements(nil, calls, func(dst []byte, call jsondoc.Value) []byte {
		if !t.unlike(call) {
			return append(dst, call...)
		}
		dst = append(dst, '{')
		start := len(dst)
		if !call.Get("id").Exists() {
			dst = member(dst, start, "id", jsondoc.Value(apierror.AppendString(nil, "call_"+randomID())))
		}
		if !call.Get("type").Exists() {
			dst = member(dst, start, "type", `"function"`)
		}
		for k, v := range call.Members() {
			switch {
			case v == "null" && (k.Is("id") || k.Is("type")):
				continue
			case k.Is("function") && t.wholly:
				v = textArguments(v)
			}
			dst = member(dst, start, k.Text(), v)
		}
		return append(dst, '}')
	}))
}

// textArguments is a called function whose arguments are JSON in a text, as OpenAI's are; some servers give the object.
func textArguments(function jsondoc.Value) jsondoc.Value {
	arguments := function.Get("arguments")
	if !function.IsObject() || arguments.IsString() {
		return function
	}
	if !arguments.Exists() {
		arguments = "{}"
	}
	dst := []byte{'{'}
	for k, v := range function.Members() {
		if !k.Is("arguments") {
			dst = member(dst, 1, k.Text(), v)
		}
	}
	return jsondoc.Value(append(member(dst, 1, "arguments", jsondoc.Value(apierror.AppendString(nil, string(arguments)))), '}'))
}

// thoughtBlocks is what a stream of Mistral's thinking is told as beside its text.
func (t *openAIReply) thoughtBlocks(thoughts jsondoc.Value) jsondoc.Value {
	block := `{"type":"thinking","thinking":` + thoughts + `,"signature":"mistral"}`
	return jsondoc.Value(append(t.p.call.r.appendThought([]byte{'['}, block, 0), ']'))
}

// ticks is how many of the units that xAI counts a cost in make a dollar: https://docs.x.ai/developers/cost-tracking
const ticks = 1e10

// foldReasoning is a usage whose reasoning is part of the completion, as OpenAI's is, for xAI counts it beside; and
// with the cost in dollars, if it was told.
//
// https://docs.x.ai/docs/guides/reasoning
func foldReasoning(usage jsondoc.Value) jsondoc.Value {
	reasoning := usage.At("completion_tokens_details", "reasoning_tokens").Count()
	prompt, completion := usage.Get("prompt_tokens").Count(), usage.Get("completion_tokens").Count()
	beside := reasoning > 0 && usage.Get("total_tokens").Count() == prompt+completion+reasoning
	cost := usage.Get("cost_in_usd_ticks").Count()
	if !beside && cost == 0 {
		return usage
	}
	dst := []byte{'{'}
	for k, v := range usage.Members() {
		if beside && k.Is("completion_tokens") {
			v = jsondoc.Value(strconv.FormatInt(completion+reasoning, 10))
		}
		dst = member(dst, 1, k.Text(), v)
	}
	if cost > 0 && usage.Get("cost") == "" {
		dst = strconv.AppendFloat(append(dst, `,"cost":`...), float64(cost)/ticks, 'g', -1, 64)
	}
	return jsondoc.Value(append(dst, '}'))
}

// appendBeside appends provider_specific_fields to an object that has members, unless there are none.
func appendBeside(dst []byte, fields jsondoc.Value) []byte {
	if fields == "" {
		return dst
	}
	return append(append(dst, `,"provider_specific_fields":`...), fields...)
}

// nativeFinish is a choice's finish reason in the provider's own word, where it is not OpenAI's; "" otherwise.
func (t *openAIReply) nativeFinish(c jsondoc.Value) jsondoc.Value {
	reason := c.Get("finish_reason")
	if word := reason.Text(); word == "" || finishWords[word] == word {
		return ""
	}
	return reason
}
