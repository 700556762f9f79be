package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// What a request's message says to get a stream instead of a whole answer. A request's own "stream" is
// not looked for: the text passes every translation as it is.
const (
	fastMark = "stream-fast"
	slowMark = "stream-slow"
)

const (
	streamEvents = 20
	streamGap    = 60 * time.Millisecond
	// markWithin bounds where a mark is looked for, so that large bodies are not searched.
	markWithin = 2 << 10
)

// upstream answers as OpenAI or Anthropic would, from bytes made at the start.
type upstream struct {
	listener, second  net.Listener // the same answers, at another address
	chat, message     []byte
	chats, messages   [][]byte // the pieces of a stream, as HTTP chunks
	beforeFirstStream []byte
}

func startUpstream() (*upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	second, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", strconv.Itoa(l.Addr().(*net.TCPAddr).Port)))
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	u := provider.Usage{Input: 10, Output: streamEvents}
	text := strings.Repeat("lorem ipsum ", 9)
	words := make([]string, streamEvents)
	for i := range words {
		words[i] = " tok" + strconv.Itoa(i)
	}
	p := &upstream{
		listener:          l,
		second:            second,
		chat:              whole(provider.Chat("gpt-4o", text, u)),
		message:           whole(provider.Message("claude-sonnet-4-5", text, u)),
		chats:             pieces(provider.ChatStream("gpt-4o", u, words...)),
		messages:          pieces(provider.MessageStream("claude-sonnet-4-5", u, words...)),
		beforeFirstStream: []byte("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"),
	}
	go p.accept(l)
	go p.accept(second)
	return p, nil
}

func (p *upstream) address() string { return p.listener.Addr().String() }

func (p *upstream) close() {
	_ = p.listener.Close()
	_ = p.second.Close()
}

func whole(r provider.Reply) []byte {
	var body strings.Builder
	for _, c := range r.Chunks {
		body.WriteString(c.Data)
	}
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", body.Len(), body.String())
}

func pieces(r provider.Reply) [][]byte {
	var out [][]byte
	for _, c := range r.Chunks {
		out = append(out, fmt.Appendf(nil, "%x\r\n%s\r\n", len(c.Data), c.Data))
	}
	last := len(out) - 1
	out[last] = append(out[last], "0\r\n\r\n"...)
	return out
}

func (p *upstream) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go p.serve(conn)
	}
}

// serve answers one connection's requests until it closes or says something that is not understood.
func (p *upstream) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 32<<10)
	for {
		message, mark, err := take(in)
		if err != nil {
			return
		}
		if err := p.answer(conn, message, mark); err != nil {
			return
		}
	}
}

// take reads a request to its end: whether it is in Anthropic's format, and its mark.
func take(in *bufio.Reader) (message bool, mark string, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return false, "", err
	}
	message = bytes.Contains(line, []byte("/messages"))
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return false, "", err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if is(name, "content-length") {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || length < 0 {
				return false, "", io.ErrUnexpectedEOF
			}
		}
	}
	start, err := in.Peek(min(length, markWithin))
	if err != nil {
		return false, "", err
	}
	for _, m := range []string{fastMark, slowMark} {
		if bytes.Contains(start, []byte(m)) {
			mark = m
		}
	}
	_, err = in.Discard(length)
	return message, mark, err
}

func (p *upstream) answer(conn net.Conn, message bool, mark string) error {
	reply, events := p.chat, p.chats
	if message {
		reply, events = p.message, p.messages
	}
	if mark == "" {
		_, err := conn.Write(reply)
		return err
	}
	if _, err := conn.Write(p.beforeFirstStream); err != nil {
		return err
	}
	for i, e := range events {
		if mark == slowMark && i > 0 {
			time.Sleep(streamGap)
		}
		if _, err := conn.Write(e); err != nil {
			return err
		}
	}
	return nil
}
