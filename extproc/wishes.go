package extproc

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/policy/route"
)

const (
	mostTags   = 64
	longestTag = 256
	// longestOpening bounds how much of a conversation's beginning is looked at.
	longestOpening = 64 << 10
)

// tags are the request's own, from metadata.tags, tags and the header x-litellm-tags, without repeats. What is not
// a text, or too long for a tag, is none.
func (c *Call) tags(r *adapters.Request) []string {
	var tags []string
	add := func(tag string) {
		tag = strings.TrimSpace(tag)
		if tag == "" || len(tag) > longestTag || len(tags) >= mostTags {
			return
		}
		for _, t := range tags {
			if t == tag {
				return
			}
		}
		tags = append(tags, tag)
	}
	list := func(field []byte) {
		var items []json.RawMessage
		if field == nil || json.Unmarshal(field, &items) != nil {
			return
		}
		for _, item := range items {
			var tag string
			if json.Unmarshal(item, &tag) == nil {
				add(tag)
			}
		}
	}
	list(fromMetadata(r, "tags"))
	list(r.Field("tags"))
	for tag := range strings.SplitSeq(c.headers.Get("x-litellm-tags"), ",") {
		add(tag)
	}
	return tags
}

// fromMetadata is a member of the request's metadata, or nil.
func fromMetadata(r *adapters.Request, name string) []byte {
	field := r.Field("metadata")
	if field == nil {
		return nil
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(field, &members) != nil {
		return nil
	}
	return members[name]
}

// session is what ties the call to others: the first of what by allows that it has; 0: nothing.
func (c *Call) session(r *adapters.Request, by route.Affinity) uint64 {
	if by&route.BySession != 0 {
		id := c.headers.Get("x-litellm-session-id")
		if id == "" {
			id = text(r.Field("litellm_session_id"))
		}
		if id == "" {
			id = text(fromMetadata(r, "session_id"))
		}
		if id != "" {
			return route.SessionKey(route.BySession, id)
		}
	}
	if by&route.ByUser != 0 {
		if user := text(r.Field("user")); user != "" {
			return route.SessionKey(route.ByUser, user)
		}
	}
	if by&route.ByPrompt != 0 {
		if key := text(r.Field("prompt_cache_key")); key != "" {
			return route.SessionKey(route.ByPrompt, key)
		}
		if o := opening(r.Field("messages")); len(o) > 0 {
			return route.SessionKey(route.ByPrompt, o)
		}
	}
	if by&route.ByKey != 0 && c.key.Hash != "" {
		return route.SessionKey(route.ByKey, c.key.Hash)
	}
	return 0
}

func text(field []byte) string {
	var s string
	if field == nil || json.Unmarshal(field, &s) != nil {
		return ""
	}
	return s
}

// opening is how a conversation begins: its messages up to the first of the user, byte by byte. It stays the same
// as the conversation grows, and differs between conversations that share a system prompt.
func opening(messages []byte) []byte {
	depth, start := 0, 0
	inText, escaped := false, false
	for i, b := range messages[:min(len(messages), longestOpening)] {
		switch {
		case escaped:
			escaped = false
		case inText:
			escaped, inText = b == '\\', b != '"'
		case b == '"':
			inText = true
		case b == '{' || b == '[':
			if depth++; depth == 2 {
				start = i
			}
		case b == '}' || b == ']':
			if depth--; depth == 1 && byUser(messages[start:i+1]) {
				return messages[:i+1]
			}
		}
	}
	return messages[:min(len(messages), longestOpening)]
}

func byUser(message []byte) bool {
	if !bytes.Contains(message, []byte(`"user"`)) { // most are not, and need not be read
		return false
	}
	var m struct {
		Role string `json:"role"`
	}
	return json.Unmarshal(message, &m) == nil && m.Role == "user"
}
