package jsondoc

import "github.com/sluicegw/sluice/internal/apierror"

// Patch collects changes to a document's top level and writes the changed copy; the document itself
// stays as it is. Later changes to a name replace earlier ones. The zero Patch changes nothing.
type Patch struct {
	changes []change
}

type change struct {
	name   string
	rename string // the name to write; "" keeps it
	value  Value  // the value to write; "" keeps it
	remove bool
	used   bool
}

func (p *Patch) at(name string) *change {
	for i := range p.changes {
		if p.changes[i].name == name {
			return &p.changes[i]
		}
	}
	p.changes = append(p.changes, change{name: name})
	return &p.changes[len(p.changes)-1]
}

// Set gives the member called name the value v, valid JSON, and adds it at the end if it is absent.
func (p *Patch) Set(name string, v Value) {
	c := p.at(name)
	c.value, c.remove = v, false
}

// Delete removes the member called name.
func (p *Patch) Delete(name string) { p.at(name).remove = true }

// Rename writes the member called from under the name to; it does nothing if there is no such member.
func (p *Patch) Rename(from, to string) { p.at(from).rename = to }

// Reset forgets all changes and keeps the memory.
func (p *Patch) Reset() { p.changes = p.changes[:0] }

// Append appends the changed document to dst.
func (p *Patch) Append(dst []byte, d *Doc) []byte {
	dst = append(dst, '{')
	first := len(dst)
	for i := range p.changes {
		p.changes[i].used = false
	}
	for _, m := range d.members {
		c := p.find(m.Name)
		if c != nil {
			c.used = true
			if c.remove {
				continue
			}
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		if c == nil {
			dst = append(dst, d.text[m.Key:m.End]...)
			continue
		}
		if c.rename != "" {
			dst = append(apierror.AppendString(dst, c.rename), ':')
		} else {
			dst = append(dst, d.text[m.Key:m.Value]...)
		}
		if c.value != "" {
			dst = append(dst, c.value...)
		} else {
			dst = append(dst, d.text[m.Value:m.End]...)
		}
	}
	for i := range p.changes {
		c := &p.changes[i]
		if c.used || c.remove || c.value == "" {
			continue
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		name := c.name
		if c.rename != "" {
			name = c.rename
		}
		dst = append(apierror.AppendString(dst, name), ':')
		dst = append(dst, c.value...)
	}
	return append(dst, '}')
}

func (p *Patch) find(name string) *change {
	for i := range p.changes {
		if p.changes[i].name == name {
			return &p.changes[i]
		}
	}
	return nil
}
