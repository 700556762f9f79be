package adapters

import (
	"unsafe"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// definitions finds what the $ref of a JSON schema name. It reads each object of definitions once: a schema may have
// thousands, and as many references to them.
type definitions struct {
	byName map[string]jsondoc.Value
	known  map[*byte]bool // where the objects that were read begin
}

// add makes the members of an object known; they win over those before.
func (d *definitions) add(object jsondoc.Value) {
	if !object.IsObject() {
		return
	}
	at := unsafe.StringData(string(object))
	if d.known[at] {
		return
	}
	if d.byName == nil {
		d.byName, d.known = map[string]jsondoc.Value{}, map[*byte]bool{}
	}
	d.known[at] = true
	for k, v := range object.Members() {
		d.byName[k.Text()] = v
	}
}

// find is the definition of a name, or "".
func (d *definitions) find(name string) jsondoc.Value { return d.byName[name] }
