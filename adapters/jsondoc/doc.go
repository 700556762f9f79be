// Package jsondoc reads a JSON document once, checks it, and edits its top level without touching the
// bytes of what stays.
//
// [Parse] validates the whole text (RFC 8259, UTF-8, bounded nesting) and remembers where each
// top-level member lies; [Value] walks text that was validated; [Patch] writes a copy with members set,
// renamed or removed. Numbers keep their digits and unknown members their spelling, because nothing is
// ever decoded and encoded again. What the members mean is left to the caller.
package jsondoc

import (
	"fmt"
	"unsafe"
)

const (
	// MaxDepth is how deep arrays and objects may nest, the top object being 1. It bounds the
	// recursion here and in whatever parser the text meets next.
	MaxDepth = 128
	// MaxMembers bounds the index of the top level: a body of `"":0,` pairs would otherwise cost ten
	// times its size in memory.
	MaxMembers = 4096
)

// Error says why a text is not a document, and where.
type Error struct {
	Offset int    // in bytes from the start of the text
	Reason string // a clause without the offset
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset)
}

// Member is one top-level member: its decoded name and where it lies in the text.
type Member struct {
	Name string
	// Key is the offset of the name's opening quote; the value is text[Value:End].
	Key, Value, End int
}

// Doc is a validated JSON object. The zero Doc is the empty object.
type Doc struct {
	text    string
	members []Member
}

// Parse validates text as one JSON object and indexes its members. A name that occurs twice in an
// object, at any depth and however it is escaped, is refused: two readers would disagree about which one
// counts, and what a guardrail reads would not be what a provider reads. text must not change
// while the Doc or anything read from it is in use. The error is an *[Error].
func Parse(text []byte) (Doc, error) {
	var d Doc
	err := d.Reset(text, false)
	return d, err
}

// Reset is [Parse] into an existing Doc whose index is used again. With lenient, names may
// occur twice, of which the last counts at the top: for texts from a provider.
func (d *Doc) Reset(text []byte, lenient bool) error {
	d.text = view(text)
	s := scanner{b: text, lenient: lenient}
	d.members = s.object(d.members[:0])
	if s.err != nil {
		d.text, d.members = "", d.members[:0]
		return s.err
	}
	return nil
}

// view is text as a string without a copy: documents are up to megabytes and read only.
func view(text []byte) string {
	return unsafe.String(unsafe.SliceData(text), len(text))
}

// Members lists the top level in the order of the text. The slice belongs to the Doc.
func (d *Doc) Members() []Member { return d.members }

// Text is the whole document as it was given.
func (d *Doc) Text() string { return d.text }

// ValueOf is a member's value.
func (d *Doc) ValueOf(m Member) Value { return Value(d.text[m.Value:m.End]) }

// Get is the value of the member called name, or "" if there is none.
func (d *Doc) Get(name string) Value {
	if i := d.index(name); i >= 0 {
		return d.ValueOf(d.members[i])
	}
	return ""
}

func (d *Doc) index(name string) int {
	for i := range d.members {
		if d.members[i].Name == name {
			return i
		}
	}
	return -1
}
