package adapters

import (
	"bytes"
	"compress/gzip"
	"io"
	"unicode/utf8"

	"github.com/sluicegw/sluice/internal/apierror"
)

// MaxWhole is the largest answer in bytes, unpacked, that [Reply.Whole] reads.
const MaxWhole = 128 << 20

// Whole translates an answer that was collected: the client's JSON, or its stream if it asked for one
// and the provider did not send one. What the provider refused, and what makes no sense, is an error.
func (p *Reply) Whole(body []byte) ([]byte, *apierror.Error) {
	out, err := p.whole(body)
	p.over, p.err = true, err
	return out, err
}

func (p *Reply) whole(body []byte) ([]byte, *apierror.Error) {
	body, err := p.unpack(body)
	if err != nil {
		return nil, err
	}
	if p.status < 200 || p.status > 299 {
		return nil, p.refusal(body)
	}
	if p.events || looksLikeEvents(body) {
		return p.collect(body)
	}
	if err := p.read(body); err != nil {
		return nil, err
	}
	if f := p.call.t.p.dialect.failure(&p.doc); f != nil {
		return nil, p.failed(likely(f), f)
	}
	out, err := p.tr.whole(make([]byte, 0, len(body)+len(p.alias)+64), &p.doc)
	if err != nil || !p.call.r.stream {
		return out, err
	}
	return p.unroll(out)
}

// read makes p.doc of a provider's JSON.
func (p *Reply) read(body []byte) *apierror.Error {
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	switch trimmed := bytes.TrimSpace(body); {
	case len(trimmed) == 0:
		return p.bad("the body is empty")
	case trimmed[0] == '<':
		return p.bad("HTML instead of JSON (%s)", p.plain(trimmed))
	}
	if err := p.doc.Reset(body, true); err != nil {
		return p.bad("%s", err)
	}
	return nil
}

// unpack undoes gzip, which nobody asked for but some proxies on the way apply all the same.
func (p *Reply) unpack(body []byte) ([]byte, *apierror.Error) {
	switch {
	case len(body) == 0:
		return body, nil
	case bytes.HasPrefix(body, []byte{0x1f, 0x8b}), p.encoding == "gzip", p.encoding == "x-gzip":
	case p.encoding == "", p.encoding == "identity":
		return body, nil
	default:
		return nil, p.bad("it is packed with %q, which was not asked for", clipText(p.encoding, 32))
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, p.bad("it is marked as gzip but is not")
	}
	out, err := io.ReadAll(io.LimitReader(z, MaxWhole+1))
	switch {
	case len(out) > MaxWhole:
		return nil, p.bad("it unpacks to more than %d MiB", MaxWhole>>20)
	case err != nil:
		return nil, p.bad("its gzip is cut short or damaged")
	}
	return out, nil
}

func looksLikeEvents(body []byte) bool {
	b := bytes.TrimSpace(body)
	return bytes.HasPrefix(b, []byte("data:")) || bytes.HasPrefix(b, []byte("event:"))
}
