package adapters

import (
	"strconv"
	"strings"

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
	hasToolImage                   // a part of type image_url in a tool's result
	hasFile                        // a part of type file
)

// messages validates the messages of a chat request and notes what they hold.
func (f *facts) messages(list jsondoc.Value) *apierror.Error {
	var role, content jsondoc.Value
	var err *apierror.Error
	row := -1
	list.Rows(func(i int, k, v jsondoc.Value) bool {
		if i != row {
			if row >= 0 {
				err = f.message(row, role, content)
			}
			row, role, content = i, "", ""
		}
		if err == nil && k == "" && !v.IsObject() {
			at := "messages[" + strconv.Itoa(i) + "]"
			err = refused(at, "'%s' must be an object, not %s.", at, kindOf(v))
		}
		if v == "null" {
			*f |= hasNull
		}
		switch name(k) {
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
		return err == nil
	})
	switch {
	case err != nil:
		return err
	case row < 0:
		return refused("messages", "'messages' must hold at least one message.")
	}
	return f.message(row, role, content)
}

// name is a key's decoded name; keys with escapes in them are rare.
func name(k jsondoc.Value) string {
	inner := k.Inner()
	if strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	return k.Text()
}

// message judges one message by its role and content.
func (f *facts) message(i int, role, content jsondoc.Value) *apierror.Error {
	switch {
	case !role.IsString() || role == `""`:
		return badRole("messages["+strconv.Itoa(i)+"].role", role)
	case role.Is("developer"):
		*f |= hasDeveloper
	}
	switch {
	case content.IsArray():
		*f |= hasParts
		before := *f
		*f &^= hasImage
		f.parts(content)
		if *f&hasImage != 0 && role.Is("tool") {
			*f |= hasToolImage
		}
		*f |= before
	case content.Exists() && !content.IsString():
		at := "messages[" + strconv.Itoa(i) + "].content"
		return refused(at, "'%s' must be a string or an array of parts, not %s.", at, kindOf(content))
	}
	return nil
}

func badRole(at string, role jsondoc.Value) *apierror.Error {
	switch {
	case !role.Exists():
		return refused(at, "Missing required parameter: '%s'.", at)
	case !role.IsString():
		return refused(at, "'%s' must be a string, not %s.", at, kindOf(role))
	}
	return refused(at, "'%s' must not be empty.", at)
}

func (f *facts) parts(list jsondoc.Value) {
	list.Rows(func(_ int, k, v jsondoc.Value) bool {
		switch name(k) {
		case "type":
			switch {
			case v.Is("image_url"):
				*f |= hasImage
			case v.Is("input_audio"):
				*f |= hasAudio
			case v.Is("file"):
				*f |= hasFile
			}
		case "cache_control":
			*f |= hasCacheMark
		case "image_url":
			if v.IsString() || v.Get("format") != "" {
				*f |= hasImageText
			}
		}
		return true
	})
}
