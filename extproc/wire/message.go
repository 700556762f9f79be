package wire

import (
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluicegw/sluice/envoy/names"
)

// Kind is which part of a call a message carries, or a reply answers.
type Kind uint8

// The kinds, in the order of a call. Other is what this version does not know.
const (
	Other Kind = iota
	RequestHeaders
	RequestBody
	RequestTrailers
	ResponseHeaders
	ResponseBody
	ResponseTrailers
)

// Header is one header; names are in lower case, as Envoy sends them.
type Header struct{ Name, Value string }

// Headers are the headers of a message, in their order.
type Headers []Header

// Get is the first value of a header, "" without one.
func (h Headers) Get(name string) string {
	for i := range h {
		if h[i].Name == name {
			return h[i].Value
		}
	}
	return ""
}

// Attributes are those that sluice asks Envoy for.
type Attributes struct {
	Cluster     string // xds.cluster_name
	CodeDetails string // response.code_details
	Flags       uint64 // response.flags
	Attempt     int    // upstream.request_attempt_count
}

// Message is one ProcessingRequest. Its parts stay valid when another message is read.
type Message struct {
	Kind        Kind
	Headers     Headers // of a message for headers
	Body        []byte  // of a message for a body
	EndOfStream bool
	Attributes  Attributes
	Call        string // the call's id, where Envoy was asked to send it along
	// Together, of a call's first message: the body follows without a reply to the headers.
	Together bool

	text, spare []byte // what the parts stand in, and what the next message may stand in
}

// Forget says that no part of the message is used any more: the next one that is read may take its memory.
func (m *Message) Forget() { m.spare = m.text }

var errMalformed = errors.New("ext_proc: the message is not a valid ProcessingRequest")

// kinds maps the fields of the oneof ProcessingRequest.request.
var kinds = [8]Kind{2: RequestHeaders, 3: ResponseHeaders, 4: RequestBody, 5: ResponseBody, 6: RequestTrailers, 7: ResponseTrailers}

const (
	fieldMetadataContext = 8
	fieldAttributes      = 9
	fieldProtocol        = 11

	fullDuplexStreamed = 4 // ProcessingMode.FULL_DUPLEX_STREAMED
)

// unmarshal reads b, which the message keeps.
func (m *Message) unmarshal(b []byte) error {
	*m = Message{text: b}
	return fields(b, func(f field) error {
		switch {
		case f.typ != protowire.BytesType:
		case f.num == fieldAttributes:
			return m.attributes(f.bytes)
		case f.num == fieldMetadataContext:
			return m.metadata(f.bytes)
		case f.num == fieldProtocol:
			return m.protocol(f.bytes)
		case int(f.num) < len(kinds) && kinds[f.num] != Other:
			m.Kind, m.Headers, m.Body, m.EndOfStream = kinds[f.num], nil, nil, false
			switch m.Kind {
			case RequestHeaders, ResponseHeaders:
				return m.headers(f.bytes)
			case RequestBody, ResponseBody:
				return m.body(f.bytes)
			}
		}
		return nil
	})
}

func (m *Message) headers(b []byte) error {
	return fields(b, func(f field) error {
		switch {
		case f.is(1, protowire.BytesType):
			return m.headerMap(f.bytes)
		case f.is(3, protowire.VarintType):
			m.EndOfStream = f.n != 0
		}
		return nil
	})
}

// headerMap makes one string of the whole map and cuts the names and values out of it.
func (m *Message) headerMap(b []byte) error {
	text := string(b)
	if m.Headers == nil {
		m.Headers = make(Headers, 0, 24)
	}
	return fields(b, func(f field) error {
		if !f.is(1, protowire.BytesType) {
			return nil
		}
		var h Header
		err := fields(f.bytes, func(part field) error {
			if part.typ != protowire.BytesType {
				return nil
			}
			at := cap(b) - cap(part.bytes) // where it stands in the map
			switch part.num {
			case 1:
				h.Name = text[at : at+len(part.bytes)]
			case 2, 3: // value, raw_value
				if len(part.bytes) > 0 {
					h.Value = text[at : at+len(part.bytes)]
				}
			}
			return nil
		})
		m.Headers = append(m.Headers, h)
		return err
	})
}

func (m *Message) body(b []byte) error {
	return fields(b, func(f field) error {
		switch {
		case f.is(1, protowire.BytesType):
			m.Body = f.bytes
		case f.is(2, protowire.VarintType):
			m.EndOfStream = f.n != 0
		}
		return nil
	})
}

// attributes reads one entry of map<string, Struct>.
func (m *Message) attributes(entry []byte) error {
	key, value, err := pair(entry)
	if err != nil || string(key) != names.AttrFilter {
		return err
	}
	return fields(value, func(f field) error {
		if !f.is(1, protowire.BytesType) {
			return nil
		}
		name, v, err := pair(f.bytes)
		if err != nil {
			return err
		}
		return m.attribute(string(name), v)
	})
}

// protocol reads ProtocolConfiguration: of it the mode of the request's body.
func (m *Message) protocol(b []byte) error {
	return fields(b, func(f field) error {
		if f.is(1, protowire.VarintType) {
			m.Together = f.n == fullDuplexStreamed
		}
		return nil
	})
}

// metadata reads core.v3.Metadata: of its filter_metadata the call's id.
func (m *Message) metadata(b []byte) error {
	return fields(b, func(f field) error {
		if !f.is(1, protowire.BytesType) {
			return nil
		}
		key, value, err := pair(f.bytes)
		if err != nil || string(key) != names.NamespaceLane {
			return err
		}
		m.Call = ""
		return fields(value, func(f field) error {
			if !f.is(1, protowire.BytesType) {
				return nil
			}
			name, v, err := pair(f.bytes)
			if err != nil || string(name) != names.KeyCall {
				return err
			}
			return fields(v, func(f field) error {
				if f.is(3, protowire.BytesType) {
					m.Call = string(f.bytes)
				}
				return nil
			})
		})
	})
}

func (m *Message) attribute(name string, value []byte) error {
	return fields(value, func(f field) error {
		text, double := f.is(3, protowire.BytesType), f.is(2, protowire.Fixed64Type)
		switch {
		case text && name == names.AttrCluster:
			m.Attributes.Cluster = string(f.bytes)
		case text && name == names.AttrCodeDetails:
			m.Attributes.CodeDetails = string(f.bytes)
		case double && name == names.AttrFlags:
			m.Attributes.Flags = number(f.n)
		case double && name == names.AttrAttempt:
			m.Attributes.Attempt = int(min(number(f.n), math.MaxInt32))
		}
		return nil
	})
}

// number is a double's bits as a whole number; what is none is 0.
func number(bits uint64) uint64 {
	f := math.Float64frombits(bits)
	if !(f >= 0 && f < 1<<53) {
		return 0
	}
	return uint64(f)
}

// pair reads a map's entry.
func pair(entry []byte) (key, value []byte, err error) {
	err = fields(entry, func(f field) error {
		switch {
		case f.is(1, protowire.BytesType):
			key = f.bytes
		case f.is(2, protowire.BytesType):
			value = f.bytes
		}
		return nil
	})
	return key, value, err
}

// field is one field of a message: bytes of a length-delimited one, n of the others.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	bytes []byte
	n     uint64
}

// is tells whether it is that field: one of another type is unknown, as it is to generated code.
func (f *field) is(num protowire.Number, typ protowire.Type) bool {
	return f.num == num && f.typ == typ
}

// fields calls take for every field of a message.
func fields(b []byte, take func(field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMalformed
		}
		b = b[n:]
		f := field{num: num, typ: typ}
		switch typ {
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			f.n, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.n, n = protowire.ConsumeFixed64(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return errMalformed
		}
		if err := take(f); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
