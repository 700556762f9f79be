package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// answerWithin is how long one answer may take before a run is given up.
const answerWithin = 30 * time.Second

// client is one keep-alive connection of HTTP/1.1. It knows as much of the protocol as the answers here
// need: a load generator that costs little leaves the processors to what is measured.
type client struct {
	conn   net.Conn
	in     *bufio.Reader
	status int
	length int // bytes of body; -1: chunked
	body   []byte
	keep   bool // whether the body is kept in body
	first  time.Time
}

func dial(address string) (*client, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 16<<10)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

// do sends one request and reads its answer to the end. The first byte of the answer's body came at
// c.first. Any status but 200 is an error that shows the body.
func (c *client) do(request []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	if err := c.head(); err != nil {
		return fmt.Errorf("reading an answer's headers: %w", err)
	}
	c.body = c.body[:0]
	keep := c.keep
	c.keep = keep || c.status != 200
	err := c.rest()
	c.keep = keep
	if err != nil {
		return fmt.Errorf("reading an answer's body: %w", err)
	}
	if c.status != 200 {
		return fmt.Errorf("status %d: %.300s", c.status, c.body)
	}
	return nil
}

// head reads the status line and the two headers that say where the body ends.
func (c *client) head() error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return fmt.Errorf("not a status line: %.80q", line)
	}
	if c.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return fmt.Errorf("not a status line: %.80q", line)
	}
	c.length = 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case is(name, "content-length"):
			if c.length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil || c.length < 0 {
				return fmt.Errorf("content-length %.40q", value)
			}
		case is(name, "transfer-encoding"):
			c.length = -1
		}
	}
}

func is(name []byte, want string) bool {
	return len(name) == len(want) && bytes.EqualFold(name, []byte(want))
}

func (c *client) rest() error {
	if c.length >= 0 {
		return c.take(c.length)
	}
	for started := false; ; started = true {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("not a chunk's length: %.40q", line)
		}
		if !started {
			c.first = time.Now()
		}
		if err := c.take(int(n)); err != nil {
			return err
		}
		if _, err := c.in.Discard(2); err != nil { // CRLF after a chunk, or the end of no trailers
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

// take reads or skips n bytes of body.
func (c *client) take(n int) error {
	if c.length >= 0 {
		if _, err := c.in.Peek(min(n, 1)); err != nil {
			return err
		}
		c.first = time.Now()
	}
	if !c.keep {
		_, err := c.in.Discard(n)
		return err
	}
	if len(c.body)+n > 64<<20 {
		return errors.New("more than 64 MiB")
	}
	from := len(c.body)
	c.body = append(c.body, make([]byte, n)...)
	_, err := io.ReadFull(c.in, c.body[from:])
	return err
}
