package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// cmdProvider: provider NAME[@PORT]…
//
// Starts a scripted provider. It is found at $NAME_URL, and with /v1 behind it at $NAME_V1.
func cmdProvider(s *step) {
	for _, name := range s.args {
		name, port, _ := strings.Cut(name, "@")
		p, err := provider.Listen("127.0.0.1:"+cmp.Or(port, "0"), provider.Options{})
		s.Check(err)
		s.w.providers[name] = p
		s.Setenv(strings.ToUpper(name)+"_URL", p.URL)
		s.Setenv(strings.ToUpper(name)+"_PORT", p.URL[strings.LastIndexByte(p.URL, ':')+1:])
		s.Setenv(strings.ToUpper(name)+"_V1", p.URL+"/v1")
	}
}

func (s *step) provider() *provider.Server {
	name := s.next("the provider's name")
	p := s.w.providers[name]
	if p == nil {
		s.Fatalf("there is no provider %q", name)
	}
	return p
}

// cmdAnswers: answers NAME [key=KEY] [model=MODEL] ANSWER…
//
// Forgets what the provider was asked and lets it give these answers in turn, the last one for ever:
// ok, a status such as 429 or 429+2s (with retry-after: 2), TEXT in quotes, claude:TEXT, slow:TIME,
// hang, reset, close, stream:NxTIME (N pieces), cut:N (a stream that breaks after N events), STATUS:CODE (an
// error's code), filtered, filtered-stream, error-stream, large:BYTES, empty, page (HTML), half
// (of an answer), cut-whole (half, and the connection breaks), error:CODE (with a 200), redirect:URL, stall (half an answer, and no more), stall-stream (no event).
func cmdAnswers(s *step) {
	p := s.provider()
	p.Reset()
	var m provider.Match
	var replies []provider.Reply
	for _, word := range s.args {
		if v, ok := strings.CutPrefix(word, "key="); ok {
			m.Key = v
		} else if v, ok := strings.CutPrefix(word, "model="); ok {
			m.Model = v
		} else {
			replies = append(replies, s.reply(word))
		}
	}
	p.On(m, replies...)
}

var usage12 = provider.Usage{Input: 9, Output: 12}

func (s *step) reply(word string) provider.Reply {
	kind, rest, _ := strings.Cut(word, ":")
	if r, ok := s.googleReply(kind, rest); ok {
		return r
	}
	switch kind {
	case "ok":
		return provider.Chat("gpt-4o", "ok", usage12)
	case "claude":
		return provider.Message("claude-sonnet-4-5", rest, usage12)
	case "hang", "reset", "close":
		return provider.NoAnswer(provider.End(kind))
	case "slow":
		return provider.Chat("gpt-4o", "slow", usage12).After(s.duration(rest))
	case "stream":
		n, gap, _ := strings.Cut(rest, "x")
		pieces := make([]string, s.number(n))
		for i := range pieces {
			pieces[i] = fmt.Sprintf("piece %d ", i+1)
		}
		return provider.ChatStream("gpt-4o", usage12, pieces...).Every(s.duration(gap))
	case "filtered":
		return provider.Filtered("gpt-4o", usage12)
	case "filtered-stream":
		return provider.FilteredStream("gpt-4o")
	case "error-stream":
		return provider.ErrorStream("server_error", "overloaded", "the scripted provider gives up")
	case "empty":
		return provider.JSON(200, "")
	case "page":
		return provider.HTML(200)
	case "large":
		return provider.Chat("gpt-4o", strings.Repeat("large ", s.number(rest)/6), usage12)
	case "half": // of an answer, and its end
		return provider.JSON(200, `{"id":"x","object":"chat.completion","choices":[{"index":0,"mess`)
	case "cut-whole": // half of an answer, and the connection breaks
		return provider.Chat("gpt-4o", "never", usage12).CutAfterBytes(40, provider.Reset)
	case "error": // with a good status
		return provider.JSON(200, "{\n \"error\": {\"message\": \"the scripted provider is busy\", \"code\": "+rest+"}}")
	case "redirect":
		return provider.JSON(302, "").With("location", rest)
	case "stall": // half an answer
		return provider.Chat("gpt-4o", "never", usage12).CutAfterBytes(40, provider.Hang)
	case "stall-stream": // headers, and no event
		return provider.ChatStream("gpt-4o", usage12, "never").CutAfterBytes(0, provider.Hang)
	case "cut":
		// A reset throws away what the other end has not read yet: give it the time.
		return provider.ChatStream("gpt-4o", usage12, "one ", "two ", "three ").CutAfter(s.number(rest)+1, provider.Reset).Every(50 * time.Millisecond)
	}
	status, wait, waits := strings.Cut(kind, "+")
	code, err := strconv.Atoi(status)
	if err != nil {
		return provider.Chat("gpt-4o", word, usage12)
	}
	r := provider.Error(code, "scripted", cmp.Or(rest, "scripted"), "the scripted provider answers "+status)
	if waits {
		r = r.With("retry-after", strings.TrimSuffix(wait, "s"))
	}
	return r
}

// cmdRequests: requests NAME [N | at-most N]
//
// Prints what the provider was asked since its last "answers", a line each; fails unless there were N.
func cmdRequests(s *step) {
	p := s.provider()
	if len(s.args) == 2 && s.args[0] == "at-most" {
		if most := s.number(s.args[1]); p.Count() > most {
			s.Fatalf("the provider got %d requests, more than %d", p.Count(), most)
		}
		s.args = nil
	}
	if len(s.args) > 0 {
		want := s.number(s.next("a number"))
		if got := p.Count(); (got == want) == s.neg {
			s.Logf("%s", lines(p.Requests()))
			s.Fatalf("the provider got %d requests, not %d", got, want)
		}
	}
	fmt.Fprint(s.Stdout(), lines(p.Requests()))
}

func lines(all []provider.Request) string {
	var b strings.Builder
	for _, r := range all {
		headers := make([]string, 0, len(r.Header))
		for name, values := range r.Header {
			headers = append(headers, strings.ToLower(name)+"="+strings.Join(values, ","))
		}
		slices.Sort(headers)
		fmt.Fprintf(&b, "%s %s key=%s body=%.300s length=%d headers=%s\n", r.Method, r.Path, r.Key, r.Body, r.Length, strings.Join(headers, " "))
	}
	return b.String()
}

// cmdLeft: left NAME TIME
//
// Fails unless a client has left the provider's latest request, within TIME of the moment that the last
// "leave" went.
func cmdLeft(s *step) {
	p, within := s.provider(), s.duration(s.next("a time"))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := p.Wait(ctx, provider.Cancelled(1))
	s.Check(err)
	took := all[len(all)-1].Cancelled.Sub(s.w.leftAt)
	s.Logf("the provider saw it after %v", took)
	if took > within {
		s.Fatalf("the provider saw the client leave after %v, not within %v", took, within)
	}
}

func (s *step) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	s.Check(err)
	return d
}

func (s *step) number(text string) int {
	n, err := strconv.Atoi(text)
	s.Check(err)
	return n
}
