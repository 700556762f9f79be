package adapters

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// refused is a 400 of OpenAI's shape that names the field at fault.
func refused(param, format string, args ...any) *apierror.Error {
	e := apierror.New(apierror.BadRequest, http.StatusBadRequest, format, args...)
	e.Param = param
	return e
}

// validate checks what every dialect relies on. Ranges and combinations are the provider's to judge.
func (r *Request) validate() *apierror.Error {
	for _, name := range [...]string{"api_base", "base_url", "api_key"} {
		if r.doc.Get(name).Exists() {
			// A client that chooses the endpoint would be sent the deployment's credentials.
			return refused(name, "'%s' may not be set in a request: endpoints and credentials are configured in the gateway. Remove it.", name)
		}
	}
	switch model := r.doc.Get("model"); {
	case !model.Exists():
		return refused("model", "You must provide a 'model' parameter.")
	case !model.IsString():
		return refused("model", "'model' must be a string, not %s.", kindOf(model))
	case model.Text() == "":
		return refused("model", "'model' must not be empty.")
	}
	if err := r.validateScalars(); err != nil {
		return err
	}
	switch r.op {
	case Chat:
		return r.validateMessages()
	case Completion:
		return validateInput("prompt", r.doc.Get("prompt"))
	case Rerank:
		return r.validateRerank()
	default:
		return validateInput("input", r.doc.Get("input"))
	}
}

func (r *Request) validateScalars() *apierror.Error {
	if v := r.doc.Get("stream"); v.Exists() && !v.IsBool() {
		return refused("stream", "'stream' must be true or false, not %s.", kindOf(v))
	}
	if v := r.doc.Get("stream_options"); v.Exists() {
		if !v.IsObject() {
			return refused("stream_options", "'stream_options' must be an object, not %s.", kindOf(v))
		}
		if u := v.Get("include_usage"); u.Exists() && !u.IsBool() {
			return refused("stream_options.include_usage", "'stream_options.include_usage' must be true or false, not %s.", kindOf(u))
		}
	}
	for _, name := range [...]string{"max_tokens", "max_completion_tokens", "n"} {
		v := r.doc.Get(name)
		if !v.Exists() {
			continue
		}
		if n, ok := v.Int(); !ok {
			return refused(name, "'%s' must be an integer, not %s.", name, kindOf(v))
		} else if n < 0 || n == 0 && name == "n" {
			return refused(name, "'%s' is too small: %d.", name, n)
		}
	}
	if err := r.validateExtraBody(); err != nil {
		return err
	}
	for _, name := range [...]string{"additional_drop_params", "allowed_openai_params"} {
		n, paths := 0, 0
		for v := range r.doc.Get(name).Elements() {
			if n++; n > mostNamed {
				return refused(name, "'%s' has more than %d elements.", name, mostNamed)
			}
			if strings.ContainsAny(string(v), ".[") {
				paths++
			}
		}
		if paths > mostPaths {
			return refused(name, "'%s' has more than %d paths.", name, mostPaths)
		}
	}
	for _, name := range [...]string{"tools", "functions"} {
		if v := r.doc.Get(name); v.Exists() && !v.IsArray() {
			return refused(name, "'%s' must be an array, not %s.", name, kindOf(v))
		}
	}
	return nil
}

// mostNamed is how many parameters a client may name to be dropped or let through: each is looked up there.
const mostNamed = 256

// mostPaths is how many of them may lead into a field, which is written anew for each.
const mostPaths = 32

func (r *Request) validateMessages() *apierror.Error {
	list := r.doc.Get("messages")
	switch {
	case !list.Exists():
		return refused("messages", "Missing required parameter: 'messages'.")
	case !list.IsArray():
		return refused("messages", "'messages' must be an array, not %s.", kindOf(list))
	}
	return r.facts.messages(list)
}

// validateInput checks a prompt or an embedding's input: a text, texts, tokens, or lists of tokens.
func validateInput(name string, v jsondoc.Value) *apierror.Error {
	switch {
	case !v.Exists():
		return refused(name, "Missing required parameter: '%s'.", name)
	case v.IsString():
		return nil
	case !v.IsArray():
		return refused(name, "'%s' must be a string or an array, not %s.", name, kindOf(v))
	case first(v) == "":
		return refused(name, "'%s' must not be empty.", name)
	}
	return nil
}

// first is the first element of an array, or "".
func first(v jsondoc.Value) jsondoc.Value {
	for e := range v.Elements() {
		return e
	}
	return ""
}

// kindOf says what a value is, for an error message; never its content.
func kindOf(v jsondoc.Value) string {
	switch {
	case v == "":
		return "absent"
	case v == "null":
		return "null"
	case v.IsString():
		return "a string"
	case v.IsBool():
		return "a boolean"
	case v.IsArray():
		return "an array"
	case v.IsObject():
		return "an object"
	}
	if n, ok := v.Int(); ok {
		return fmt.Sprintf("the number %d", n)
	}
	return "a number"
}

// validateExtraBody keeps what is checked and billed out of extra_body, whose members win over the
// request's own: a model, a prompt or a limit hidden there would pass every check unseen.
func (r *Request) validateExtraBody() *apierror.Error {
	v := r.doc.Get("extra_body")
	if !v.Exists() {
		return nil
	}
	if !v.IsObject() {
		return refused("extra_body", "'extra_body' must be an object, not %s.", kindOf(v))
	}
	n := 0
	for k := range v.Members() {
		if n++; n > jsondoc.MaxMembers {
			return refused("extra_body", "'extra_body' has more than %d members.", jsondoc.MaxMembers)
		}
		switch name := k.Text(); name {
		case "model", "messages", "prompt", "input", "stream", "stream_options", "n", "best_of", "tools",
			"max_tokens", "max_completion_tokens", "user", "api_base", "base_url", "api_key":
			return refused("extra_body."+name, "'%s' may not be set in extra_body: write it as a field of the request.", name)
		}
	}
	return nil
}
