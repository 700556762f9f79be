package adapters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// Framing is how the answer to an attempt comes in and has to be read.
type Framing uint8

// The ways to read an answer.
const (
	Whole  Framing = iota // collect the body and give it to [Reply.Whole]
	Events                // give each piece to [Reply.Events] and then call [Reply.End]
)

// Usage is what an answer cost in tokens, as the provider reported it. Prompt includes CachedRead and
// CacheWrite; Completion includes Reasoning.
type Usage struct {
	Prompt, Completion, Total, CachedRead, CacheWrite, Reasoning int64
	// CacheWriteHour is the part of CacheWrite that is kept for an hour. The others are parts of Prompt and
	// Completion: tokens of sound and of pictures.
	CacheWriteHour, PromptAudio, PromptImage, CompletionAudio, CompletionImage int64
	// CachedAudio is the part of CachedRead that is sound.
	CachedAudio int64
	// Queries are a reranker's search units: a query with up to a hundred documents is one.
	Queries int64
	// Images are those in the input of an embedding; Characters is the length of its texts, where the provider
	// counts that.
	Images, Characters int64
	// Searches were made in the web, Lookups in Google Maps, by the provider for the answer.
	Searches, Lookups int64
	// Cost is what the provider itself says that the call cost, in US dollars; 0: it says nothing.
	Cost float64
	// Partial: the answer broke off before the provider told its length. The prompt's counts hold,
	// Completion is too low; see [Reply.Produced].
	Partial bool
}

// Reply translates the answer to one attempt. It belongs to one call and one goroutine.
type Reply struct {
	call  call
	alias jsondoc.Value // the client's name for the model, as a JSON string
	tr    translator
	split framing.Splitter
	// frames cuts what the provider sends, if that is a stream.
	frames framing.Splitter

	status int
	retry  time.Duration // what retry-after asks for
	// encoding is the content-encoding, in lower case.
	encoding string
	events   bool  // the provider streams
	ended    bool  // the translator has seen the stream's last event
	over     bool  // the last thing the client gets has been appended
	output   int64 // bytes of text, reasoning and arguments
	usage    Usage
	used     bool
	err      *apierror.Error
	finish   string
	searches int64       // that an answer of Groq's tells of
	cites    bool        // the answer names pages that were searched for, which only a search tells in OpenAI's format
	answered string      // the model, as the provider names it
	tier     string      // the service tier that the provider says it served
	doc      jsondoc.Doc // the document at hand, its index used again
	heard    heard
	spoken   spoken
}

// heard is what an answer told in its headers.
type heard struct {
	errorType     string
	input, output int64 // tokens
}

// Reply prepares the translation of the answer to r; alias is the model's name in it: what the client
// asked for.
func (t *Target) Reply(r *Request, alias string) *Reply {
	p := &Reply{alias: jsondoc.Value(apierror.AppendString(nil, alias))}
	var err *apierror.Error
	if p.call, err = t.begin(r); err != nil && p.call.t == nil {
		// No request was made of this one. What comes is still read, if only to say what is wrong.
		p.call = newCall(t, r)
	}
	p.tr = t.p.dialect.translator(&p.call, p)
	if r.op == Completion && p.call.r.op == Chat {
		p.tr = &completionReply{p: p, inner: p.tr}
	}
	return p
}

// Begin takes the status and headers of the answer and tells how its body has to be read. header must
// find names in lower case; it is not kept.
func (p *Reply) Begin(status int, header func(name string) string) Framing {
	p.status = status
	p.err = nil
	p.encoding = strings.ToLower(strings.TrimSpace(header("content-encoding")))
	p.frames = p.call.t.splitter(header("content-type"))
	p.events = p.frames != nil && status >= 200 && status < 300
	p.retry = retryAfter(header, time.Now())
	if h, ok := p.call.t.p.host.(hearer); ok {
		h.hear(p, header)
	}
	if p.events && p.call.r.stream && (p.encoding == "" || p.encoding == "identity") {
		p.split = p.frames
		return Events
	}
	return Whole
}

// splitter is what cuts a stream of the deployment's provider; nil: an answer of this type is none.
func (t *Target) splitter(contentType string) framing.Splitter {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if f, ok := t.p.host.(framer); ok {
		return f.splitter(media)
	}
	if media == "text/event-stream" {
		return &framing.SSE{}
	}
	return nil
}

// ContentType is the media type of what the client gets if the call succeeds. Errors are JSON.
func (p *Reply) ContentType() string {
	if p.call.r.stream {
		return "text/event-stream"
	}
	return "application/json"
}

// Usage is what the provider has reported so far; ok is false if that is nothing.
func (p *Reply) Usage() (u Usage, ok bool) {
	u = p.usage
	u.Searches = max(u.Searches, p.searches)
	if p.cites && u.Searches == 0 {
		u.Searches = 1
	}
	return u, p.used
}

// Model is the model that answered, as the provider named it: a snapshot's name, for an alias; "" if it
// named none.
func (p *Reply) Model() string { return p.answered }

// ServiceTier is the service tier that the provider says it served; "" if it says nothing.
func (p *Reply) ServiceTier() string { return p.tier }

// mostName bounds the names that a provider gives for what it did, in bytes: they stay with the call.
const mostName = 256

// answeredBy notes the provider's name for the model. The value may be gone after the call.
func (p *Reply) answeredBy(model jsondoc.Value) {
	switch {
	case p.answered != "" || !model.IsString():
	case model.Is(p.call.model):
		p.answered = p.call.model
	default:
		p.answered = strings.Clone(clipText(model.Text(), mostName))
	}
}

// served notes the service tier.
func (p *Reply) served(tier jsondoc.Value) {
	switch {
	case !tier.IsString():
	case tier.Is("default"):
		p.tier = "default"
	default:
		p.tier = strings.Clone(clipText(tier.Text(), mostName))
	}
}

// Produced is how many bytes of text, reasoning and tool arguments have come so far: what an answer
// without a usage report can be estimated by.
func (p *Reply) Produced() int64 { return p.output }

// Err is the error that ended the answer, if one did: reported by the provider within its stream, or
// made here of a stream that broke off or made no sense.
func (p *Reply) Err() *apierror.Error { return p.err }

// Over tells whether the last that the client gets has been appended: of a stream, [DONE].
func (p *Reply) Over() bool { return p.over }

// FinishReason is why the model stopped, in OpenAI's words; "" if it was not told. Of several choices
// it is the last one's.
func (p *Reply) FinishReason() string { return p.finish }

// done is the last event of every stream.
const done = "data: [DONE]\n\n"

// Events appends to dst what the client gets for the next piece of a stream, cut anywhere. After the
// stream's end or an error it appends nothing.
func (p *Reply) Events(dst, chunk []byte) []byte {
	for !p.over && p.split != nil {
		ev, rest, ok, err := p.split.Next(chunk)
		if err != nil {
			return p.Fail(dst, p.bad("%s", err))
		}
		if !ok {
			return dst
		}
		chunk = rest
		dst = p.event(dst, ev)
	}
	return dst
}

func (p *Reply) event(dst []byte, ev framing.Event) []byte {
	if string(bytes.TrimSpace(ev.Data)) == "[DONE]" {
		return p.close(dst, true)
	}
	before := len(dst)
	dst, err := p.tr.event(dst, ev)
	if err != nil {
		return p.Fail(dst[:before], err)
	}
	if p.ended {
		return p.close(dst, true)
	}
	return dst
}

// End appends what the client gets when the provider's stream is over: what is still owed (finish
// reason, usage) and [DONE]; or, if the stream broke off, an error event and [DONE].
func (p *Reply) End(dst []byte) []byte {
	if p.over {
		return dst
	}
	if p.split != nil {
		// Only a whole event counts: half a one is what a broken connection leaves.
		if ev, ok := p.split.Flush(); ok && (json.Valid(ev.Data) || string(bytes.TrimSpace(ev.Data)) == "[DONE]") {
			if dst = p.event(dst, ev); p.over {
				return dst
			}
		}
	}
	return p.close(dst, false)
}

func (p *Reply) close(dst []byte, told bool) []byte {
	dst, complete := p.tr.end(dst, told)
	if !complete {
		return p.Fail(dst, p.broken())
	}
	p.over = true
	return append(dst, done...)
}

// Fail appends an error event and [DONE], and ends the answer. Nothing is appended to an answer that
// has ended.
func (p *Reply) Fail(dst []byte, e *apierror.Error) []byte {
	if p.over {
		return dst
	}
	p.over, p.err = true, e
	dst = append(dst, "data: "...)
	dst = append(dst, e.JSON()...)
	dst = append(dst, "\n\n"...)
	return append(dst, done...)
}

// broken is the error for a stream that ended before the answer did.
func (p *Reply) broken() *apierror.Error {
	e := apierror.New(apierror.Unavailable, http.StatusInternalServerError,
		"%s closed the stream before the answer was complete.", p.call.t.p.name)
	e.Provider = p.call.t.p.name
	return e
}

// bad is the error for an answer that cannot be read.
func (p *Reply) bad(format string, args ...any) *apierror.Error {
	e := apierror.New(apierror.BadReply, http.StatusInternalServerError,
		"%s sent an unreadable answer: %s.", p.call.t.p.name, p.scrub(fmt.Sprintf(format, args...)))
	e.Provider = p.call.t.p.name
	return e
}
