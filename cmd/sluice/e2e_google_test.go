package main

import (
	"fmt"
	"strings"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// googleReply is an answer of Google's: gemini:TEXT, gemini-stream:NxTIME, gemini-busy:SECONDS (a 429 that tells
// how long to wait in its body), or token:TEXT (of a token endpoint).
func (s *step) googleReply(kind, rest string) (r provider.Reply, ok bool) {
	event := func(text, finish string) string {
		return fmt.Sprintf(`{"candidates":[{"content":{"parts":[{"text":%q}],"role":"model"},"index":0%s}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":12,"totalTokenCount":21},"responseId":"r1"}`, text, finish)
	}
	const stop = `,"finishReason":"STOP"`
	switch kind {
	case "gemini":
		return provider.JSON(200, event(rest, stop)), true
	case "gemini-stream":
		n, gap, _ := strings.Cut(rest, "x")
		events := make([]string, s.number(n))
		for i := range events {
			finish := ""
			if i == len(events)-1 {
				finish = stop
			}
			events[i] = "data: " + event(fmt.Sprintf("piece %d ", i+1), finish) + "\r\n\r\n"
		}
		return provider.SSE(events...).Every(s.duration(gap)), true
	case "gemini-busy":
		return provider.JSON(429, fmt.Sprintf(`{"error":{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"%ss"}]}}`, rest)), true
	case "token":
		return provider.JSON(200, fmt.Sprintf(`{"access_token":%q,"expires_in":3600,"token_type":"Bearer"}`, rest)), true
	}
	return provider.Reply{}, false
}
