package adapters

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// embeddingList writes OpenAI's list of embeddings.
//
// https://platform.openai.com/docs/api-reference/embeddings/object
type embeddingList struct {
	p *Reply
	n int
}

func (e *embeddingList) open(dst []byte) []byte {
	return append(dst, `{"object":"list","data":[`...)
}

// add appends one embedding: an array of numbers, or a string of base64.
func (e *embeddingList) add(dst []byte, v jsondoc.Value) []byte {
	return e.addAt(dst, e.n, v)
}

func (e *embeddingList) addAt(dst []byte, index int, v jsondoc.Value) []byte {
	if e.n > 0 {
		dst = append(dst, ',')
	}
	e.n++
	dst = strconv.AppendInt(append(dst, `{"object":"embedding","index":`...), int64(index), 10)
	return append(append(append(dst, `,"embedding":`...), v...), '}')
}

// close ends the list with the model's name and what p knows of the usage.
func (e *embeddingList) close(dst []byte) []byte {
	dst = append(append(dst, `],"model":`...), e.p.alias...)
	dst = strconv.AppendInt(append(dst, `,"usage":{"prompt_tokens":`...), e.p.usage.Prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":0,"total_tokens":`...), e.p.usage.Total, 10)
	return append(dst, `}}`...)
}

// asFloats tells whether a call that asks for no encoding is sent with base64, to be decoded again.
func (c *call) asFloats() bool {
	return c.r.op == Embedding && c.t.p.quirks.floats && c.get("encoding_format") == ""
}

// floatsOf is a list of embeddings with numbers where it has base64: float32, the lowest byte first.
func floatsOf(list jsondoc.Value) jsondoc.Value {
	return jsondoc.Value(appendElements(make([]byte, 0, 3*len(list)), list, func(dst []byte, e jsondoc.Value) []byte {
		if !e.IsObject() {
			return append(dst, e...)
		}
		return appendMembers(dst, e, func(dst []byte, k, v jsondoc.Value) []byte {
			dst = appendKey(dst, k)
			if k.Is("embedding") && v.IsString() {
				return appendFloats(dst, v)
			}
			return append(dst, v...)
		})
	}))
}

func appendFloats(dst []byte, text jsondoc.Value) []byte {
	raw, err := base64.StdEncoding.DecodeString(text.Text())
	if err != nil || len(raw)%4 != 0 {
		return append(dst, text...)
	}
	dst = append(dst, '[')
	for i := 0; i < len(raw); i += 4 {
		if i > 0 {
			dst = append(dst, ',')
		}
		f := math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))
		if f != f || math.IsInf(float64(f), 0) {
			f = 0 // JSON has no word for it
		}
		dst = strconv.AppendFloat(dst, float64(f), 'g', -1, 32)
	}
	return append(dst, ']')
}
