package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluicegw/sluice/envoy/names"
)

// Reply is one ProcessingResponse: an answer to a message, or the end of the call.
type Reply struct {
	To Kind
	// Set and Remove change the headers of the request or of the answer.
	Set    Headers
	Remove []string
	// Replace puts Body in the place of the message's body; empty, it removes it. In an answer to headers
	// it stands for all of the body that is still to come.
	Replace bool
	Body    []byte
	// Steer sends a request on its way: Envoy chooses its route anew, by Group, and remembers Call.
	Steer       bool
	Group, Call string
	// Plan names a cluster an attempt; given again, it replaces the one that the call has.
	Plan []string
	// Drop, in an answer to headers, has Envoy forget what it holds of the body.
	Drop bool
	// Whole, in an answer to response headers, has the body come at once; otherwise it comes in pieces.
	Whole bool
	// Immediate ends the call: the client gets this status, Set and Body. Details appear in Envoy's log.
	Immediate int
	Details   string
}

// SetHeader adds a header to Set.
func (r *Reply) SetHeader(name, value string) { r.Set = append(r.Set, Header{name, value}) }

// Sets tells whether a header is in Set.
func (r *Reply) Sets(name string) bool {
	for i := range r.Set {
		if r.Set[i].Name == name {
			return true
		}
	}
	return false
}

// The numbers of the fields of the oneof ProcessingResponse.response.
var replyField = [...]protowire.Number{
	RequestHeaders: 1, ResponseHeaders: 2, RequestBody: 3, ResponseBody: 4, RequestTrailers: 5, ResponseTrailers: 6,
}

const (
	fieldImmediate     = 7
	fieldMetadata      = 8
	fieldMode          = 9
	fieldTypedMetadata = 13

	overwrite          = 2 // HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
	continueAndReplace = 1 // CommonResponse.CONTINUE_AND_REPLACE
)

// bufferedMode is the ProcessingMode of an answer that comes at once: response headers sent, response body
// BUFFERED, everything else skipped.
var bufferedMode = func() []byte {
	var b []byte
	for _, f := range [][2]uint64{{1, 2}, {2, 1}, {3, 0}, {4, 2}, {5, 2}, {6, 2}} {
		b = protowire.AppendTag(b, protowire.Number(f[0]), protowire.VarintType)
		b = protowire.AppendVarint(b, f[1])
	}
	return b
}()

// headLen is an upper bound of the message without a body that is not copied.
func (r *Reply) headLen() int { return 256 + r.headersLen() + 64*len(r.Plan) }

// marshal appends the message to b, but for r.Body, which follows uncopied.
func (r *Reply) marshal(b []byte) (head, body []byte) {
	if r.Immediate != 0 {
		return r.immediate(b), nil
	}
	if r.Steer {
		b = r.metadata(b)
	}
	if len(r.Plan) > 0 {
		b = r.appendPlan(b)
	}
	if r.Whole {
		b = appendBytes(b, fieldMode, bufferedMode)
	}
	if r.To == RequestTrailers || r.To == ResponseTrailers {
		return appendLength(b, replyField[r.To], 0), nil
	}
	return r.common(b)
}

// common writes the CommonResponse; the body comes last, so that nothing follows it.
func (r *Reply) common(b []byte) (head, body []byte) {
	mutation := r.mutationLen()
	bodyLen, common := r.bodyMutationLen(), 0
	if r.replacesAll() {
		common += 2
	}
	if mutation > 0 {
		common += lengthLen(mutation)
	}
	if r.Steer {
		common += 2
	}
	if r.Replace {
		common += lengthLen(bodyLen)
	}
	if common == 0 {
		return appendLength(b, replyField[r.To], 0), nil
	}
	b = appendLength(b, replyField[r.To], lengthLen(common))
	b = appendLength(b, 1, common)
	if r.replacesAll() {
		b = append(b, 1<<3, continueAndReplace)
	}
	if mutation > 0 {
		b = r.appendMutation(appendLength(b, 2, mutation))
	}
	if r.Steer {
		b = append(b, 5<<3, 1) // clear_route_cache
	}
	if !r.Replace {
		return b, nil
	}
	b = appendLength(b, 3, bodyLen)
	if len(r.Body) == 0 {
		return append(b, 2<<3, 1), nil // clear_body
	}
	return appendLength(b, 1, len(r.Body)), r.Body
}

func (r *Reply) replacesAll() bool {
	return (r.Replace || r.Drop) && (r.To == RequestHeaders || r.To == ResponseHeaders)
}

func (r *Reply) bodyMutationLen() int {
	if len(r.Body) == 0 {
		return 2
	}
	return lengthLen(len(r.Body))
}

// immediate writes an ImmediateResponse. Its body is an error's, and small: it is copied.
func (r *Reply) immediate(b []byte) []byte {
	status := append([]byte{1 << 3}, protowire.AppendVarint(nil, uint64(r.Immediate))...)
	mutation := r.mutationLen()
	size := lengthLen(len(status)) + lengthLen(mutation) + lengthLen(len(r.Body)) + lengthLen(len(r.Details))
	b = appendLength(b, fieldImmediate, size)
	b = appendBytes(b, 1, status)
	b = r.appendMutation(appendLength(b, 2, mutation))
	b = appendBytes(b, 3, r.Body)
	return append(appendLength(b, 5, len(r.Details)), r.Details...)
}

// mutationLen is the length of the HeaderMutation.
func (r *Reply) mutationLen() int {
	n := 0
	for i := range r.Set {
		n += lengthLen(optionLen(&r.Set[i]))
	}
	for _, name := range r.Remove {
		n += lengthLen(len(name))
	}
	return n
}

// optionLen is the length of a HeaderValueOption: the header and the two bytes of append_action.
func optionLen(h *Header) int { return lengthLen(headerLen(h)) + 2 }

func headerLen(h *Header) int { return lengthLen(len(h.Name)) + lengthLen(len(h.Value)) }

func (r *Reply) appendMutation(b []byte) []byte {
	for i := range r.Set {
		h := &r.Set[i]
		b = appendLength(b, 1, optionLen(h))
		b = appendLength(b, 1, headerLen(h))
		b = append(appendLength(b, 1, len(h.Name)), h.Name...)
		b = append(appendLength(b, 3, len(h.Value)), h.Value...)
		b = append(b, 3<<3, overwrite)
	}
	for _, name := range r.Remove {
		b = append(appendLength(b, 2, len(name)), name...)
	}
	return b
}

// headersLen is an upper bound that spares growing the buffer.
func (r *Reply) headersLen() int {
	n := len(r.Details)
	if r.Immediate != 0 {
		n += len(r.Body)
	}
	for i := range r.Set {
		n += len(r.Set[i].Name) + len(r.Set[i].Value) + 20
	}
	for _, name := range r.Remove {
		n += len(name) + 4
	}
	return n
}

const planType = "type.googleapis.com/envoy.extensions.router.cluster_specifiers.priority_group.v3.PriorityGroupsOverride"

// metadata writes the group and the call's id, as untyped dynamic metadata.
func (r *Reply) metadata(b []byte) []byte {
	members := [...][2]string{{names.KeyGroup, r.Group}, {names.KeyCall, r.Call}}
	object := 0
	for _, m := range members {
		object += lengthLen(memberLen(m[0], m[1])) // Struct.fields
	}
	wrapped := lengthLen(object) // Value.struct_value
	outer := lengthLen(len(names.NamespaceLane)) + lengthLen(wrapped)
	b = appendLength(b, fieldMetadata, lengthLen(outer))
	b = appendLength(b, 1, outer)
	b = append(appendLength(b, 1, len(names.NamespaceLane)), names.NamespaceLane...)
	b = appendLength(b, 2, wrapped)
	b = appendLength(b, 5, object)
	for _, m := range members {
		b = appendLength(b, 1, memberLen(m[0], m[1]))
		b = append(appendLength(b, 1, len(m[0])), m[0]...)
		b = appendLength(b, 2, lengthLen(len(m[1])))
		b = append(appendLength(b, 3, len(m[1])), m[1]...)
	}
	return b
}

// memberLen is the length of a struct's entry: its key, and a Value that is a string.
func memberLen(key, value string) int {
	return lengthLen(len(key)) + lengthLen(lengthLen(len(value)))
}

// appendPlan writes a PriorityGroupsOverride: one group, of one cluster of weight 1, an attempt.
func (r *Reply) appendPlan(b []byte) []byte {
	override := 0
	for i, cluster := range r.Plan {
		override += lengthLen(groupLen(i, cluster))
	}
	packed := lengthLen(len(planType)) + lengthLen(override)
	entry := lengthLen(len(names.NamespacePlan)) + lengthLen(packed)
	b = appendLength(b, fieldTypedMetadata, entry)
	b = append(appendLength(b, 1, len(names.NamespacePlan)), names.NamespacePlan...)
	b = appendLength(b, 2, packed)
	b = append(appendLength(b, 1, len(planType)), planType...)
	b = appendLength(b, 2, override)
	for i, cluster := range r.Plan {
		b = appendLength(b, 1, groupLen(i, cluster))
		b = append(appendLength(b, 1, 1), groupName(i))
		b = appendLength(b, 2, weightedLen(cluster))
		b = append(appendLength(b, 1, len(cluster)), cluster...)
		b = append(appendLength(b, 2, 2), 1<<3, 1) // weight: 1
	}
	return b
}

// groupName is a letter: a group must have a name, and nothing refers to it.
func groupName(i int) byte { return 'a' + byte(i%26) }

func weightedLen(cluster string) int { return lengthLen(len(cluster)) + 4 }

func groupLen(_ int, cluster string) int { return 3 + lengthLen(weightedLen(cluster)) }

// appendLength writes the tag and the length of a length-delimited field.
func appendLength(b []byte, num protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(n))
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return append(appendLength(b, num, len(v)), v...)
}

// lengthLen is what a length-delimited field of n bytes takes, its tag included: all of ours have one byte.
func lengthLen(n int) int { return 1 + protowire.SizeVarint(uint64(n)) + n }
