package adapters

import "github.com/sluicegw/sluice/adapters/jsondoc"

// appendMembers appends v, an object, anew: of every member what each appends, key and colon too. A member of which it
// appends nothing is left out.
func appendMembers(dst []byte, v jsondoc.Value, each func(dst []byte, k, m jsondoc.Value) []byte) []byte {
	dst = append(dst, '{')
	start := len(dst)
	for k, m := range v.Members() {
		dst = appendNext(dst, start, func(dst []byte) []byte { return each(dst, k, m) })
	}
	return append(dst, '}')
}

// appendElements does the same with an array.
func appendElements(dst []byte, v jsondoc.Value, each func(dst []byte, e jsondoc.Value) []byte) []byte {
	dst = append(dst, '[')
	start := len(dst)
	for e := range v.Elements() {
		dst = appendNext(dst, start, func(dst []byte) []byte { return each(dst, e) })
	}
	return append(dst, ']')
}

// appendNext appends what next does, after a comma if something stands after start already.
func appendNext(dst []byte, start int, next func(dst []byte) []byte) []byte {
	before := len(dst)
	if before > start {
		dst = append(dst, ',')
	}
	after := len(dst)
	if dst = next(dst); len(dst) == after {
		return dst[:before]
	}
	return dst
}

// appendKey appends a member's key and its colon.
func appendKey(dst []byte, k jsondoc.Value) []byte { return append(append(dst, k...), ':') }
