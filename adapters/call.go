package adapters

import (
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// call is one request as one deployment sees it: the client's fields under extra_body and over the
// deployment's defaults, without what is never sent. Values are views into the texts they come from.
type call struct {
	t      *Target
	r      *Request
	model  string // the upstream's name
	fields []field
	// allowed are parameters the client vouches for, although the provider is not known to take them.
	allowed jsondoc.Value
	// dropping leaves unsupported parameters out instead of refusing the call.
	dropping bool
	// byTool: a JSON schema was turned into a forced tool.
	byTool bool
	// whole: the provider is asked for one answer although the client streams.
	whole bool
	// text: a completion is asked for as a chat of one message.
	text bool
	// grown is by how many bytes the schemas grew whose references were written out.
	grown int
}

// leastGrowth is what references may make of the schemas of any call: a few that refer to each other twice stand for any
// number.
const leastGrowth = 1 << 20

// mostGrown bounds what references can make of the schemas of one call. Long calls may grow more: a hundred tools that
// share their types come to several times their length.
func (c *call) mostGrown() int { return leastGrowth + min(8*len(c.r.body), 3*leastGrowth) }

// field is one member of the request. An empty value is a field taken out again.
type field struct {
	name  string
	value jsondoc.Value
}

func newCall(t *Target, r *Request) call {
	c := call{
		t: t, r: r, model: t.upstream(r.model),
		allowed:  r.doc.Get("allowed_openai_params"),
		dropping: t.dropping || r.doc.Get("drop_params") == "true",
	}
	members := r.doc.Members()
	c.fields = make([]field, 0, len(members)+len(t.defaults.Members())+len(t.extra.Members())+4)
	for _, m := range members {
		if v := r.doc.ValueOf(m); v != "null" && !gatewayOnly(m.Name) && !c.never(m.Name) {
			c.fields = append(c.fields, field{m.Name, v})
		}
	}
	for k, v := range r.doc.Get("extra_body").Members() {
		c.overlay(k.Text(), v)
	}
	for _, m := range t.extra.Members() {
		c.overlay(m.Name, t.extra.ValueOf(m))
	}
	for _, m := range t.defaults.Members() {
		// A null of the client's stands for "no value": it keeps the default away, too.
		if c.get(m.Name) == "" && r.doc.Get(m.Name) == "" {
			c.overlay(m.Name, t.defaults.ValueOf(m))
		}
	}
	c.cut()
	if most := t.p.quirks.stops; most > 0 && r.op == Chat {
		c.cutStops(most)
	}
	return c
}

// cutStops leaves the first stop sequences, as LiteLLM does, where the provider would refuse the call for the rest.
func (c *call) cutStops(most int) {
	stop := c.get("stop")
	if !stop.IsArray() || stop.Len() <= most {
		return
	}
	left := most
	c.set("stop", jsondoc.Value(appendElements(nil, stop, func(dst []byte, s jsondoc.Value) []byte {
		if left--; left < 0 {
			return dst
		}
		return append(dst, s...)
	})))
}

func (c *call) overlay(name string, v jsondoc.Value) {
	if !gatewayOnly(name) && !c.never(name) && v != "null" {
		c.set(name, v)
	}
}

// subjects are what a call is made of. additional_drop_params cannot take them out, for there would be nothing
// left to translate; LiteLLM applies it to parameters only.
var subjects = setOf("model", "messages", "prompt", "input", "query", "documents")

// never tells whether additional_drop_params, the deployment's or the client's, holds a field.
func (c *call) never(name string) bool {
	if subjects[name] {
		return false
	}
	for i := range c.t.drop {
		if c.t.drop[i].field == name && len(c.t.drop[i].steps) == 0 {
			return true
		}
	}
	for v := range c.r.doc.Get("additional_drop_params").Elements() {
		if v.Is(name) {
			return true
		}
	}
	return false
}

// cut takes out what additional_drop_params name inside fields.
func (c *call) cut() {
	for i := range c.t.drop {
		d := &c.t.drop[i]
		c.cutAt(d)
	}
	for v := range c.r.doc.Get("additional_drop_params").Elements() {
		if text := v.Text(); strings.ContainsAny(text, ".[") {
			if d, err := parseDropPath(text); err == nil && !d.guts() {
				c.cutAt(&d)
			}
		}
	}
}

func (c *call) cutAt(d *dropPath) {
	if v := c.get(d.field); v != "" && len(d.steps) > 0 {
		c.set(d.field, jsondoc.Value(appendDropped(nil, v, d.steps)))
	}
}

// get is a field that would be sent, or "".
func (c *call) get(name string) jsondoc.Value {
	for i := range c.fields {
		if c.fields[i].name == name {
			return c.fields[i].value
		}
	}
	return ""
}

// set gives a field a value; "" takes it out.
func (c *call) set(name string, v jsondoc.Value) {
	for i := range c.fields {
		if c.fields[i].name == name {
			c.fields[i].value = v
			return
		}
	}
	if v != "" {
		c.fields = append(c.fields, field{name, v})
	}
}

// rename moves a field to another name, unless a field of that name is there: then that one wins, but for
// max_tokens, whose newer name does.
func (c *call) rename(from, to string) {
	v := c.get(from)
	if v == "" {
		return
	}
	c.set(from, "")
	if c.get(to) == "" || from == "max_completion_tokens" {
		c.set(to, v)
	}
}

// upstream is the provider's name for the model. For a wildcard deployment the client's word fills it.
func (t *Target) upstream(asked string) string {
	before, after, wild := strings.Cut(t.model, "*")
	if !wild {
		return t.model
	}
	name := strings.TrimPrefix(asked, t.p.name+"/")
	if len(name) >= len(before)+len(after) && strings.HasPrefix(name, before) && strings.HasSuffix(name, after) {
		return name
	}
	return before + name + after
}

// unsupported takes out the fields that not picks, or refuses the call because of them, unless they are
// allowed by name. n: 1 asks for nothing and is always fine.
func (c *call) unsupported(not func(name string) bool) *apierror.Error {
	for i := range c.fields {
		f := &c.fields[i]
		if f.value == "" || !not(f.name) {
			continue
		}
		if f.name == "n" && f.value == "1" {
			f.value = ""
			continue
		}
		if err := c.unsupportedField(f.name); err != nil {
			return err
		}
	}
	return nil
}

// allows tells whether the client vouches for a parameter.
func (c *call) allows(name string) bool {
	for v := range c.allowed.Elements() {
		if v.Is(name) {
			return true
		}
	}
	return false
}

func (c *call) unsupportedField(name string) *apierror.Error {
	if c.allows(name) {
		return nil
	}
	if !c.dropping {
		return refused(name, "%s does not support the parameter '%s' for model %s. Leave it out, or set drop_params: true to drop what is not supported.",
			c.t.p.name, name, c.model)
	}
	c.set(name, "")
	return nil
}
