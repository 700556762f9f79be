package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// facts is what a chat request's messages hold, noted while they are validated, so that dialects which
// only edit need not walk them again.
type facts uint16

const (
	hasDeveloper facts = 1 << iota // a message of role developer
	hasCacheMark                   // cache_control on a message or a part
	hasReasoning                   // thinking_blocks, reasoning_content or provider_specific_fields
	hasParts                       // content as a list of parts
	hasImage                       // a part of type image_url
	hasImageText                   // an image_url that is a bare string or names a format
	hasAudio                       // a part of type input_audio
	hasName                        // a message with a name
	hasToolCalls                   // tool_calls, function_call or a tool's result
	hasNull                        // a member that is null
)

// message validates one message and notes what it holds.
func (f *facts) message(m jsondoc.Value, i int) *apierror.Error {
	var role, content jsondoc.Value
	for k, v := range m.Members() {
		switch k.Inner() {
		case "role":
			role = v
		case "content":
			content = v
		case "cache_control":
			*f |= hasCacheMark
		case "thinking_blocks", "reasoning_content", "provider_specific_fields":
			*f |= hasReasoning
		case "name":
			*f |= hasName
		case "tool_calls", "function_call", "tool_call_id":
			if v.Exists() {
				*f |= hasToolCalls
			}
		}
		if v == "null" {
			*f |= hasNull
		}
	}
	at := "messages[" + strconv.Itoa(i) + "]"
	switch {
	case !role.Exists():
		return refused(at+".role", "Missing required parameter: '%s.role'.", at)
	case !role.IsString():
		return refused(at+".role", "'%s.role' must be a string, not %s.", at, kindOf(role))
	case role == `""`:
		return refused(at+".role", "'%s.role' must not be empty.", at)
	case role.Is("developer"):
		*f |= hasDeveloper
	}
	switch {
	case content.IsArray():
		*f |= hasParts
		for part := range content.Elements() {
			f.part(part)
		}
	case content.Exists() && !content.IsString():
		return refused(at+".content", "'%s.content' must be a string or an array of parts, not %s.", at, kindOf(content))
	}
	return nil
}

func (f *facts) part(part jsondoc.Value) {
	for k, v := range part.Members() {
		switch k.Inner() {
		case "type":
			switch {
			case v.Is("image_url"):
				*f |= hasImage
			case v.Is("input_audio"):
				*f |= hasAudio
			}
		case "cache_control":
			*f |= hasCacheMark
		case "image_url":
			if v.IsString() || v.Get("format") != "" {
				*f |= hasImageText
			}
		}
	}
}
