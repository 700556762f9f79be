package keys

import (
	"bytes"
	"strings"

	"github.com/sluicegw/sluice/policy/store"
)

// packer lays the documents of a whole load side by side. One by one they would lie between what reading them left
// behind, and keep its pages: a fifth of the memory of a hundred thousand keys. A changed document comes to lie
// elsewhere, and its old place is free again with the next whole load, so no more is lost than was loaded.
type packer struct {
	docs  []byte
	texts strings.Builder
}

const packSize = 1 << 20

func (p *packer) pack(o store.Object) store.Object {
	o.Kind, o.ID, o.Unique = kindName(o.Kind), p.text(o.ID), p.text(o.Unique)
	o.Doc = p.take(o.Doc)
	return o
}

func (p *packer) text(s string) string {
	n := len(s)
	if n > packSize/16 {
		return s
	}
	if p.texts.Cap()-p.texts.Len() < n {
		p.texts.Reset() // what was given out keeps the old one
		p.texts.Grow(packSize)
	}
	from := p.texts.Len()
	p.texts.WriteString(s)
	return p.texts.String()[from:]
}

func (p *packer) take(b []byte) []byte {
	n := len(b)
	if n > packSize/16 {
		return b
	}
	if len(p.docs) < n {
		p.docs = make([]byte, packSize)
	}
	out := p.docs[:n:n]
	copy(out, b)
	p.docs = p.docs[n:]
	return out
}

// within is a part of a document, without a copy of its own.
func within(doc, part []byte) []byte {
	if i := bytes.Index(doc, part); len(part) > 0 && i >= 0 {
		return doc[i : i+len(part) : i+len(part)]
	}
	return part
}

// kindName is the constant that a kind equals: each document has a copy of its own otherwise.
func kindName(kind string) string {
	switch kind {
	case KindKey:
		return KindKey
	case KindUser:
		return KindUser
	case KindMember:
		return KindMember
	case KindCustomer:
		return KindCustomer
	}
	return kind
}
