package adapters

import (
	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// appendAnnotations appends the places of an answer that a search stands behind, each after a comma.
//
// https://ai.google.dev/gemini-api/docs/google-search
func appendAnnotations(dst []byte, grounding jsondoc.Value) []byte {
	supports := grounding.Get("groundingSupports")
	if first(supports) == "" {
		return dst
	}
	var webs []jsondoc.Value
	for c := range grounding.Get("groundingChunks").Elements() {
		webs = append(webs, c.Get("web"))
	}
	for s := range supports.Elements() {
		segment := s.Get("segment")
		from, to := segment.Get("startIndex"), segment.Get("endIndex")
		n, ok := first(s.Get("groundingChunkIndices")).Int()
		if !ok || n < 0 || n >= int64(len(webs)) || webs[n] == "" || !from.IsNumber() || !to.IsNumber() {
			continue
		}
		url, title := webs[n].Get("uri"), webs[n].Get("title")
		if !url.IsString() {
			url = `""`
		}
		if !title.IsString() {
			title = `""`
		}
		dst = append(append(dst, `,{"type":"url_citation","url_citation":{"start_index":`...), from...)
		dst = append(append(dst, `,"end_index":`...), to...)
		dst = append(append(dst, `,"url":`...), url...)
		dst = append(append(append(dst, `,"title":`...), title...), "}}"...)
	}
	return dst
}

// appendInvocations appends what Google's own tools did, each after a comma: it has to come back in the next
// turn.
func appendInvocations(dst []byte, parts jsondoc.Value) []byte {
	put := func(name string, v jsondoc.Value) {
		if v != "" {
			dst = append(append(append(dst, name...), v...), ',')
		}
	}
	for part := range parts.Elements() {
		call := part.Get("toolCall")
		if !call.IsObject() {
			continue
		}
		dst = append(dst, `,{`...)
		put(`"tool_type":`, call.Get("toolType"))
		put(`"id":`, call.Get("id"))
		put(`"args":`, call.Get("args"))
		put(`"thought_signature":`, part.Get("thoughtSignature"))
		for other := range parts.Elements() {
			if r := other.Get("toolResponse"); r.IsObject() && r.Get("id") == call.Get("id") {
				put(`"response":`, r.Get("response"))
				put(`"response_thought_signature":`, other.Get("thoughtSignature"))
				break
			}
		}
		if dst[len(dst)-1] == ',' {
			dst = dst[:len(dst)-1]
		}
		dst = append(dst, '}')
	}
	return dst
}

// appendMetadata appends what Google says about the candidates, under LiteLLM's names.
func appendMetadata(dst []byte, candidates jsondoc.Value) []byte {
	for _, m := range [...]struct{ theirs, ours string }{
		{"groundingMetadata", `,"vertex_ai_grounding_metadata":[`},
		{"urlContextMetadata", `,"vertex_ai_url_context_metadata":[`},
		{"safetyRatings", `,"vertex_ai_safety_results":[`},
		{"citationMetadata", `,"vertex_ai_citation_metadata":[`},
	} {
		before := len(dst)
		dst = append(dst, m.ours...)
		start := len(dst)
		for c := range candidates.Elements() {
			v := c.Get(m.theirs)
			if !v.Exists() {
				continue
			}
			if len(dst) > start {
				dst = append(dst, ',')
			}
			dst = append(dst, v...)
		}
		if len(dst) == start {
			dst = dst[:before]
		} else {
			dst = append(dst, ']')
		}
	}
	return dst
}

// appendLogprobs appends a logprobsResult as OpenAI's logprobs.
func appendLogprobs(dst []byte, v jsondoc.Value) []byte {
	chosen := v.Get("chosenCandidates")
	if !chosen.IsArray() {
		return dst
	}
	var tops []jsondoc.Value
	for top := range v.Get("topCandidates").Elements() {
		tops = append(tops, top.Get("candidates"))
	}
	one := func(c jsondoc.Value) {
		token, p := c.Get("token"), c.Get("logProbability")
		if !token.IsString() {
			token = `""`
		}
		if !p.IsNumber() {
			p = "0"
		}
		dst = append(append(dst, `{"token":`...), token...)
		dst = append(append(append(dst, `,"logprob":`...), p...), `,"bytes":null`...)
	}
	dst = append(dst, `,"logprobs":{"content":[`...)
	i := 0
	for c := range chosen.Elements() {
		if i > 0 {
			dst = append(dst, ',')
		}
		one(c)
		dst = append(dst, `,"top_logprobs":[`...)
		if i < len(tops) {
			j := 0
			for top := range tops[i].Elements() {
				if j > 0 {
					dst = append(dst, ',')
				}
				j++
				one(top)
				dst = append(dst, '}')
			}
		}
		dst = append(dst, "]}"...)
		i++
	}
	return append(dst, "]}"...)
}
