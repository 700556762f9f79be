package adapters

import (
	"slices"
	"strconv"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// rerankTakes are the parameters of a rerank request; others are left out. The last four are those of
// servers such as vLLM.
var rerankTakes = []string{
	"query", "documents", "top_n", "rank_fields", "return_documents", "max_chunks_per_doc", "max_tokens_per_doc",
	"instruction", "truncate_prompt_tokens", "truncation_side", "max_tokens_per_query",
}

const cohereRerankTakes = 7

// validateRerank checks a rerank request, which has Cohere's shape.
//
// https://docs.cohere.com/reference/rerank
func (r *Request) validateRerank() *apierror.Error {
	switch q := r.doc.Get("query"); {
	case !q.Exists():
		return refused("query", "Missing required parameter: 'query'.")
	case !q.IsString():
		return refused("query", "'query' must be a string, not %s.", kindOf(q))
	}
	list := r.doc.Get("documents")
	switch {
	case !list.Exists():
		return refused("documents", "Missing required parameter: 'documents'.")
	case !list.IsArray():
		return refused("documents", "'documents' must be an array, not %s.", kindOf(list))
	}
	i := 0
	for d := range list.Elements() {
		if !d.IsString() && !d.IsObject() {
			at := "documents[" + strconv.Itoa(i) + "]"
			return refused(at, "'%s' must be a string or an object, not %s.", at, kindOf(d))
		}
		i++
	}
	if n := r.doc.Get("top_n"); n.Exists() {
		if k, ok := n.Int(); !ok || k < 1 {
			return refused("top_n", "'top_n' must be a whole number, 1 or more, not %s.", kindOf(n))
		}
	}
	return nil
}

// appendRerank appends the members of a rerank request after its model.
func appendRerank(dst []byte, c *call, takes []string) []byte {
	for i := range c.fields {
		if f := &c.fields[i]; f.value != "" && slices.Contains(takes, f.name) {
			dst = append(apierror.AppendString(append(dst, ','), f.name), ':')
			dst = append(dst, f.value...)
		}
	}
	return dst
}

// rerankReply gives an answer Cohere's shape, {id, results, meta}, if it does not have that already.
type rerankReply struct{ p *Reply }

func (t *rerankReply) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	results := doc.Get("results")
	if !results.IsArray() {
		return nil, t.p.bad("JSON without \"results\"")
	}
	id := doc.Get("id")
	if !id.IsString() {
		id = jsondoc.Value(`"` + randomID() + `"`)
	}
	dst = append(append(dst, `{"id":`...), id...)
	dst = append(append(dst, `,"results":`...), results...)
	t.p.usage, t.p.used = Usage{Queries: 1}, true
	switch meta, usage := doc.Get("meta"), doc.Get("usage"); {
	case meta.IsObject() && t.p.call.t.p.quirks.rerank != "/rerank":
		in := meta.At("tokens", "input_tokens").Count()
		t.p.usage.Prompt, t.p.usage.Total = in, in
		t.p.usage.Queries = max(1, meta.At("billed_units", "search_units").Count())
		dst = append(append(dst, `,"meta":`...), meta...)
	case t.p.call.t.p.quirks.rerank != "":
		n := usage.Get("total_tokens").Count()
		t.p.usage.Prompt, t.p.usage.Total = n, n
		dst = strconv.AppendInt(append(dst, `,"meta":{"billed_units":{"total_tokens":`...), n, 10)
		dst = append(strconv.AppendInt(append(dst, `},"tokens":{"input_tokens":`...), n, 10), "}}"...)
	}
	return append(dst, '}'), nil
}

func (t *rerankReply) event(dst []byte, _ framing.Event) ([]byte, *apierror.Error) {
	return dst, t.p.bad("a stream, which reranking has not")
}

func (t *rerankReply) end(dst []byte, _ bool) ([]byte, bool) { return dst, false }

// Queries is the most search units that reranking may be billed for: one for every hundred documents, of which
// long ones count once for every 500 tokens. It is 0 for other calls.
//
// https://docs.cohere.com/docs/rerank-overview
func (r *Request) Queries() int64 {
	if r.op != Rerank {
		return 0
	}
	documents := r.doc.Get("documents")
	const bytes, unit = 500, 100 // a token has a byte at least
	return 1 + (int64(documents.Len())+int64(len(documents))/bytes)/unit
}
