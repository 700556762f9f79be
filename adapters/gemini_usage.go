package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// geminiUsage is a usageMetadata. A stream tells it with every event; the last one counts.
//
// https://ai.google.dev/api/generate-content#UsageMetadata
type geminiUsage struct {
	told                                     bool
	prompt, candidates, sum, thoughts, tools int64
	cached                                   int64
	cachedTold, thoughtsTold                 bool
	prompts, caches, answers                 tokensByKind
	searched                                 int64 // web searches that were made, each paid for
	located                                  int64 // look-ups in Google Maps
}

// tokensByKind are counts by modality; -1 is one that was not told.
type tokensByKind struct {
	told                      bool
	text, audio, image, video int64
}

func (t *tokensByKind) read(list jsondoc.Value) {
	*t = tokensByKind{told: true, text: -1, audio: -1, image: -1, video: -1}
	for d := range list.Elements() {
		n := d.Get("tokenCount").Count()
		add := func(p *int64) { *p = max(*p, 0) + n }
		switch d.Get("modality").Text() {
		case "TEXT", "DOCUMENT":
			add(&t.text)
		case "AUDIO":
			add(&t.audio)
		case "IMAGE":
			add(&t.image)
		case "VIDEO":
			add(&t.video)
		}
	}
}

func (u *geminiUsage) update(v jsondoc.Value) {
	if !v.IsObject() {
		return
	}
	*u = geminiUsage{told: true, searched: u.searched, located: u.located}
	for k, n := range v.Members() {
		switch k.Inner() {
		case "promptTokenCount":
			u.prompt = n.Count()
		case "candidatesTokenCount":
			u.candidates = n.Count()
		case "totalTokenCount":
			u.sum = n.Count()
		case "thoughtsTokenCount":
			u.thoughts, u.thoughtsTold = n.Count(), true
		case "toolUsePromptTokenCount":
			u.tools = n.Count()
		case "cachedContentTokenCount":
			u.cached, u.cachedTold = n.Count(), true
		case "promptTokensDetails":
			u.prompts.read(n)
		case "cacheTokensDetails":
			u.caches.read(n)
		case "candidatesTokensDetails":
			u.answers.read(n)
		}
	}
}

// grounded counts the searches that an answer's groundingMetadata tells of.
func (u *geminiUsage) grounded(v jsondoc.Value) {
	if !v.IsObject() {
		return
	}
	web, maps := false, v.Get("googleMapsWidgetContextToken").Exists()
	for c := range v.Get("groundingChunks").Elements() {
		web = web || c.Get("web") != ""
		maps = maps || c.Get("maps") != ""
	}
	n := int64(0)
	seen := map[jsondoc.Value]bool{}
	for q := range v.Get("webSearchQueries").Elements() {
		if q != `""` && !seen[q] {
			seen[q] = true
			n++
		}
	}
	if maps {
		u.located = max(u.located, 1)
		if !web {
			u.located = max(u.located, n)
			return
		}
	}
	u.searched = max(u.searched, n)
}

// total is the usage in OpenAI's terms. What tools read is part of the prompt, unless it came by a search,
// which has a price of its own. Some models count their thoughts among the candidates' tokens.
func (u *geminiUsage) total() Usage {
	t := Usage{Prompt: u.prompt, Completion: u.candidates, Total: u.sum, CachedRead: u.cached, Reasoning: u.thoughts}
	if u.searched+u.located == 0 {
		t.Prompt += u.tools
	}
	if u.prompt+u.candidates+u.tools != u.sum {
		t.Completion += u.thoughts
	}
	t.Reasoning = min(t.Reasoning, t.Completion)
	if u.prompts.told {
		p := u.uncached()
		t.PromptAudio, t.PromptImage = max(p.audio, 0), max(p.image, 0)
	}
	t.CachedAudio = max(u.caches.audio, 0)
	t.Searches, t.Lookups = u.searched, u.located
	if u.answers.told {
		t.CompletionAudio, t.CompletionImage = max(u.answers.audio, 0), max(u.answers.image, 0)
	}
	return t
}

// usageStyle is how much a usage object tells, which LiteLLM's clients know.
type usageStyle uint8

const (
	usageWhole  usageStyle = iota
	usageBare              // of an answer that a filter stopped: no details
	usageStream            // of a stream: the total is the sum of the parts
	usageWords             // of a stream of words alone: the details of the answer are told in full
)

// append appends the usage object.
func (u *geminiUsage) append(dst []byte, style usageStyle) []byte {
	t := u.total()
	if style >= usageStream {
		t.Total = t.Prompt + t.Completion
	}
	dst = append(dst, '{')
	w := counts{dst: dst, start: len(dst)}
	w.add("prompt_tokens", t.Prompt)
	w.add("completion_tokens", t.Completion)
	w.add("total_tokens", t.Total)
	if style == usageBare {
		return append(w.dst, '}')
	}
	if u.cachedTold {
		w.add("cache_read_input_tokens", u.cached)
	}
	w.object("prompt_tokens_details", u.promptDetails)
	w.object("completion_tokens_details", func(w *counts) { u.answerDetails(w, style == usageWords) })
	return append(w.dst, '}')
}

// counts writes an object of numbers.
type counts struct {
	dst   []byte
	start int
}

// add writes a number that is known.
func (w *counts) add(name string, n int64) {
	if n >= 0 {
		w.dst = strconv.AppendInt(appendName(w.dst, w.start, name), n, 10)
	}
}

// object writes an object within, unless nothing is in it.
func (w *counts) object(name string, fill func(*counts)) {
	before := len(w.dst)
	in := counts{dst: append(appendName(w.dst, w.start, name), '{')}
	in.start = len(in.dst)
	if fill(&in); len(in.dst) == in.start {
		w.dst = w.dst[:before]
	} else {
		w.dst = append(in.dst, '}')
	}
}

func (u *geminiUsage) promptDetails(w *counts) {
	if u.cachedTold {
		w.add("cached_tokens", u.cached)
	}
	if u.prompts.told {
		p := u.uncached()
		w.add("text_tokens", p.text)
		w.add("audio_tokens", p.audio)
		w.add("image_tokens", p.image)
		w.add("video_tokens", p.video)
	}
	if u.tools > 0 {
		w.add("tool_use_tokens", u.tools)
	}
	if u.searched > 0 {
		w.add("web_search_requests", u.searched)
	}
	if u.located > 0 {
		w.add("google_maps_grounding_requests", u.located)
	}
}

func (u *geminiUsage) answerDetails(w *counts, all bool) {
	if u.thoughtsTold || all {
		w.add("reasoning_tokens", u.thoughts)
	}
	if u.candidates == 0 && !all {
		return
	}
	text := u.candidates
	if u.answers.told {
		w.add("audio_tokens", u.answers.audio)
		w.add("image_tokens", u.answers.image)
		w.add("video_tokens", u.answers.video)
		if text = u.answers.text; text < 0 {
			text = max(u.candidates-max(u.answers.audio, 0)-max(u.answers.image, 0)-max(u.answers.video, 0), 0)
		}
	}
	w.add("text_tokens", text)
}

// uncached are the prompt's tokens by modality without those that were read from a cache. A cache whose
// content is not told is taken to be text.
func (u *geminiUsage) uncached() tokensByKind {
	p := u.prompts
	less := func(n *int64, by int64) {
		if *n >= 0 && by > 0 {
			*n = max(*n-by, 0)
		}
	}
	if !u.caches.told {
		less(&p.text, u.cached)
		return p
	}
	less(&p.text, u.caches.text)
	less(&p.audio, u.caches.audio)
	less(&p.image, u.caches.image)
	less(&p.video, u.caches.video)
	return p
}
