package adapters

import (
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// openAIReply edits an answer that is OpenAI's already: the model's name becomes the client's, and
// usage goes where the client did not ask for it. Everything else keeps its bytes.
type openAIReply struct {
	p     *Reply
	patch jsondoc.Patch
	// begun and finished hold one bit a choice, so that a stream cut off is told from one that ended.
	begun, finished uint64
	told, again     uint64 // the choices whose role was told, and those whose event in hand tells it again
	bit             uint64 // of the choice in hand
	searched        uint64 // the tools that ran for the answer and were searches
	delta           bool   // a delta is in hand
	byTool          bool   // the content comes as the arguments of a forced tool
	wholly          bool   // the answer came in one piece
	// filtered is what Azure said about the prompt in an event without choices; the next one tells it.
	filtered jsondoc.Value
}

func (openAI) translator(c *call, p *Reply) translator {
	if c.r.op == Rerank {
		return &rerankReply{p: p}
	}
	return &openAIReply{p: p, byTool: c.byTool}
}

func (t *openAIReply) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	list := "choices"
	if t.p.call.r.op == Embedding {
		list = "data"
	}
	if !doc.Get(list).IsArray() {
		return nil, t.p.bad("JSON without %q", list)
	}
	choices := doc.Get("choices")
	t.patch.Reset()
	t.wholly = true
	if t.follow(choices) {
		t.patch.Set("choices", t.editChoices(choices))
	}
	usage := t.folded(doc.Get("usage"))
	t.p.report(usage)
	if !usage.Exists() && list == "choices" {
		t.patch.Set("usage", `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`)
	}
	if list == "data" && usage.Get("prompt_tokens") != "" && usage.Get("completion_tokens") == "" {
		t.patch.Set("usage", usage[:len(usage)-1]+`,"completion_tokens":0}`)
	}
	t.p.answeredBy(doc.Get("model"))
	t.p.served(doc.Get("service_tier"))
	t.patch.Set("model", t.p.alias)
	if tier := doc.Get("service_tier"); t.p.call.t.p.quirks.tiers && tier.IsString() && !tier.Is("default") && !tier.Is("flex") {
		t.patch.Set("service_tier", `"auto"`)
	}
	if list == "data" && t.p.call.asFloats() {
		t.patch.Set("data", floatsOf(doc.Get("data")))
	}
	return t.patch.Append(dst, doc), nil
}

func (t *openAIReply) event(dst []byte, ev framing.Event) ([]byte, *apierror.Error) {
	doc, err := t.p.eventDoc(ev)
	if err != nil {
		return dst, err
	}
	if ev.Name == "error" || doc.Get("error").Exists() {
		return dst, t.p.reported(openAIFailure(doc))
	}
	choices := doc.Get("choices")
	t.patch.Reset()
	if t.follow(choices) {
		t.patch.Set("choices", t.editChoices(choices))
	}
	usage := t.folded(doc.Get("usage"))
	t.p.report(usage)
	if t.p.answered == "" || usage.Exists() {
		t.p.answeredBy(doc.Get("model"))
		t.p.served(doc.Get("service_tier"))
	}
	t.patch.Set("model", t.p.alias)
	if t.p.call.t.p.quirks.promptFilter && t.aboutPrompt(doc, choices) {
		return dst, nil
	}
	if !t.p.call.r.includeUsage && usage != "" {
		if usage.Exists() && first(choices) == "" {
			return dst, nil
		}
		t.patch.Delete("usage")
	} else if t.p.call.r.includeUsage && usage.IsObject() {
		t.patch.Set("usage", t.p.fullUsage(usage))
	}
	dst = append(dst, "data: "...)
	dst = t.patch.Append(dst, doc)
	return append(dst, "\n\n"...), nil
}

// folded is the usage with the reasoning in the completion, for providers that tell it apart.
func (t *openAIReply) folded(usage jsondoc.Value) jsondoc.Value {
	if !t.p.call.t.p.quirks.reasoningApart || !usage.IsObject() {
		return usage
	}
	folded := foldReasoning(usage)
	t.patch.Set("usage", folded)
	return folded
}

// aboutPrompt keeps what an event without choices says about the prompt, and puts it into the next one:
// clients look for a choice in every event but the last.
//
// https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/content-streaming
func (t *openAIReply) aboutPrompt(doc *jsondoc.Doc, choices jsondoc.Value) (held bool) {
	if first(choices) == "" {
		results := doc.Get("prompt_filter_results")
		if results != "" {
			t.filtered = jsondoc.Value(strings.Clone(string(results)))
		}
		return results != "" && !doc.Get("usage").Exists()
	}
	if t.filtered != "" {
		t.patch.Set("prompt_filter_results", t.filtered)
		t.filtered = ""
	}
	return false
}

// follow notes which choices have begun and which have finished, and tells whether they have to be
// edited.
func (t *openAIReply) follow(choices jsondoc.Value) (edit bool) {
	edit = t.byTool && first(choices) != ""
	t.again = 0
	for c := range choices.Elements() {
		t.bit = choiceBit(c)
		finished := false
		for k, v := range c.Members() {
			switch k.Inner() {
			case "index":
			case "finish_reason":
				word := t.finishOf(c, v)
				edit = edit || word != "" && !v.Is(word)
				if word != "" {
					finished = true
					t.p.finish = strings.Clone(word) // v is gone with its event
				}
			case "delta", "message":
				t.delta = k.Is("delta")
				edit = t.message(v) || edit || t.gathers() && !choiceMembers[k.Inner()] // Perplexity writes both
			case "text":
				t.p.output += int64(len(v.Inner()))
			default:
				edit = edit || t.gathers() && !choiceMembers[k.Inner()]
			}
		}
		t.begun |= t.bit
		if finished {
			t.finished |= t.bit
		}
	}
	if t.byTool && t.p.finish == "tool_calls" {
		t.p.finish = "stop"
	}
	return edit
}

func (t *openAIReply) end(dst []byte, told bool) ([]byte, bool) {
	if told {
		return t.p.countUsage(t.finishOpen(dst)), true
	}
	n := 1
	if want, ok := t.p.call.get("n").Int(); ok && want > 0 && want <= 64 {
		n = int(want)
	}
	if t.finished != t.begun || bits.OnesCount64(t.finished) < n {
		return dst, false
	}
	return t.p.countUsage(dst), true
}

// finishOpen writes the finish reasons that a stream which ended as it should has left out.
func (t *openAIReply) finishOpen(dst []byte) []byte {
	reason := "stop"
	if t.p.spoken.calls {
		reason = "tool_calls"
	}
	for open := t.begun &^ t.finished; open != 0; open &= open - 1 {
		t.p.finish = reason
		w := newChatWriter(t.p)
		dst = w.head(append(dst, "data: "...), "chat.completion.chunk")
		dst = strconv.AppendInt(append(dst, `"choices":[{"index":`...), int64(bits.TrailingZeros64(open)), 10)
		dst = append(append(append(dst, `,"delta":{},"finish_reason":"`...), reason...), `"}]}`+"\n\n"...)
	}
	t.finished = t.begun
	return dst
}

// toldCost is a provider's own figure in dollars: a number, or an object with the total.
func toldCost(v jsondoc.Value) float64 {
	if v.IsObject() {
		v = v.Get("total_cost")
	}
	if cost, ok := v.Float(); ok && cost > 0 && !math.IsInf(cost, 0) {
		return cost
	}
	return 0
}

// report notes a usage object of OpenAI's shape, with the spellings that others added.
func (p *Reply) report(u jsondoc.Value) {
	if !u.IsObject() {
		return
	}
	var n Usage
	for k, v := range u.Members() {
		switch k.Inner() {
		case "prompt_tokens":
			n.Prompt = v.Count()
		case "completion_tokens":
			n.Completion = v.Count()
		case "total_tokens":
			n.Total = v.Count()
		case "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens":
			n.CachedRead = max(n.CachedRead, v.Count())
		case "cache_creation_input_tokens":
			n.CacheWrite = max(n.CacheWrite, v.Count())
		case "prompt_tokens_details":
			n.CachedRead = max(n.CachedRead, v.Get("cached_tokens").Count())
			n.CacheWrite = max(n.CacheWrite, v.Get("cache_write_tokens").Count(), v.Get("cache_creation_tokens").Count())
			n.CachedAudio = v.At("cached_tokens_details", "audio_tokens").Count()
			n.Searches = max(n.Searches, v.Get("web_search_requests").Count())
			n.PromptAudio, n.PromptImage = v.Get("audio_tokens").Count(), v.Get("image_tokens").Count()
		case "completion_tokens_details":
			n.Reasoning = v.Get("reasoning_tokens").Count()
			n.CompletionAudio, n.CompletionImage = v.Get("audio_tokens").Count(), v.Get("image_tokens").Count()
		case "server_side_tool_usage_details": // xAI's
			n.Searches = max(n.Searches, v.Get("web_search_calls").Count())
		case "cost":
			n.Cost = toldCost(v)
		}
	}
	if n.Total == 0 {
		n.Total = n.Prompt + n.Completion
	}
	p.usage, p.used = n, true
}
