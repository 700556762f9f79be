// Package eventframes makes AWS's binary event streams of readable ones, for tests. What the events mean is left to
// them.
package eventframes

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// Of makes a stream of text: an event a line, its name and its payload with a space between; an exception's name stands
// after a "!"; the payload of a chunk is wrapped in base64, as InvokeModel does. A last line "…" cuts the stream in the
// middle of the event before it.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
func Of(text string) ([]byte, error) {
	var out bytes.Buffer
	encoder := eventstream.NewEncoder()
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if line == "…" {
			return out.Bytes()[:max(0, out.Len()-7)], nil
		}
		name, payload, _ := strings.Cut(line, " ")
		name = name[:min(len(name), 200)]
		kind, typ := "event", ":event-type"
		if bare, ok := strings.CutPrefix(name, "!"); ok {
			name, kind, typ = bare, "exception", ":exception-type"
		}
		if name == "chunk" {
			payload = `{"bytes":"` + base64.StdEncoding.EncodeToString([]byte(payload)) + `","p":"abcdefghij"}`
		}
		m := eventstream.Message{Payload: []byte(payload)}
		m.Headers.Set(typ, eventstream.StringValue(name))
		m.Headers.Set(":content-type", eventstream.StringValue("application/json"))
		m.Headers.Set(":message-type", eventstream.StringValue(kind))
		if err := encoder.Encode(&out, m); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
