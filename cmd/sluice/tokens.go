package main

import (
	"encoding/json"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/adapters/tokens"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/admin"
)

// tokenCounter is the adapters' counter for the HTTP API.
type tokenCounter struct{}

// CountTokens implements [admin.TokenCounter], as LiteLLM's count_request_tokens puts a prompt together: a
// text alone is counted as it is, and as a user's message where a system message or tools come with it.
func (tokenCounter) CountTokens(model string, p admin.Prompt) (int, *apierror.Error) {
	for _, list := range []struct {
		name string
		raw  json.RawMessage
	}{{"messages", p.Messages}, {"contents", p.Contents}, {"tools", p.Tools}} {
		if list.raw != nil && !jsondoc.Value(list.raw).IsArray() {
			e := apierror.New(apierror.BadRequest, 400, "'%s' must be an array.", list.name)
			e.Param = list.name
			return 0, e
		}
	}
	c := tokens.For(model)
	tools, system := jsondoc.Value(p.Tools), jsondoc.Value(p.System)
	switch {
	case p.Messages == nil && p.Contents != nil:
		return c.Contents(jsondoc.Value(p.Contents)), nil
	case p.Messages == nil && p.Tools == nil && p.System == nil:
		return c.Text(*p.Text), nil
	}
	var list []byte
	add := func(role string, content []byte) {
		list = append(append(append(list, `{"role":"`+role+`","content":`...), content...), "},"...)
	}
	if system != "" {
		add("system", p.System)
	}
	if p.Messages == nil {
		add("user", apierror.AppendString(nil, *p.Text))
	}
	for m := range jsondoc.Value(p.Messages).Elements() {
		list = append(append(list, m...), ',')
	}
	if len(list) > 0 {
		list[len(list)-1] = ']'
	} else {
		list = []byte{']'}
	}
	return c.Chat(jsondoc.Value("["+string(list)), tools, ""), nil
}
