package envoy

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

const (
	// logFormat makes Envoy's log lines splittable; with --log-format-escaped each is one line.
	// https://github.com/gabime/spdlog/wiki/3.-Custom-formatting
	logFormat = "%l|%n|%v"
	// maxLogLine is where a longer line is cut in two.
	maxLogLine = 16 << 10
	// lastWords is how many lines are kept to explain a crash.
	lastWords = 12
	// maxLastWord is how much of each of them is kept.
	maxLastWord = 512
)

// logPipe takes a process's output and passes it on line by line. Writes come from one goroutine.
type logPipe struct {
	log     *slog.Logger
	partial []byte
	inside  bool // partial goes on with a line whose beginning has been passed on
	dumping bool // Envoy has crashed and shows what it was busy with

	mu   sync.Mutex
	tail []string
}

// Write implements [io.Writer]; it never fails.
func (p *logPipe) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		b = rest
		p.partial = append(p.partial, line...)
		for len(p.partial) > maxLogLine {
			p.line(string(p.partial[:maxLogLine]))
			p.partial, p.inside = p.partial[maxLogLine:], true
		}
		if whole {
			p.line(string(p.partial))
			p.partial, p.inside = p.partial[:0], false
		}
	}
	return n, nil
}

// last returns the last lines, joined, for an error.
func (p *logPipe) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.tail, "; ")
}

func (p *logPipe) line(text string) {
	text = strings.TrimRight(text, "\r\n ")
	if text == "" {
		return
	}
	level, logger, message, formed := parseLogLine(text)
	if p.dumping && (!formed || p.inside) {
		return
	}
	if !p.dumping && logger == "backtrace" && strings.HasPrefix(message, "Caught ") {
		// What follows the backtrace are the requests under way: credentials, prompts and answers. Nobody's log may
		// hold these, and without Envoy's symbols they explain little.
		p.dumping = true
	}
	p.mu.Lock()
	if len(p.tail) == lastWords {
		p.tail = p.tail[:copy(p.tail, p.tail[1:])]
	}
	p.tail = append(p.tail, message[:min(len(message), maxLastWord)])
	p.mu.Unlock()
	if isNoise(message) {
		level = slog.LevelDebug
	}
	if logger == "" {
		p.log.Log(context.Background(), level, message)
		return
	}
	p.log.Log(context.Background(), level, message, "logger", logger)
}

// parseLogLine splits a line written in logFormat. Anything else (an assertion, the allocator's or the
// loader's complaint) comes from a process in trouble: a warning.
func parseLogLine(line string) (level slog.Level, logger, message string, formed bool) {
	name, rest, ok := strings.Cut(line, "|")
	if ok {
		logger, message, ok = strings.Cut(rest, "|")
	}
	if !ok {
		return slog.LevelWarn, "", line, false
	}
	switch name {
	case "trace", "debug":
		level = slog.LevelDebug
	case "info":
		level = slog.LevelInfo
	case "warning", "warn":
		level = slog.LevelWarn
	case "error", "critical":
		level = slog.LevelError
	default:
		return slog.LevelWarn, "", line, false
	}
	return level, logger, message, true
}

// isNoise tells what Envoy warns of and nobody can act on.
func isNoise(message string) bool {
	for _, part := range []string{
		"caught ENVOY_SIGTERM", // it was we who sent it
		"caught SIGTERM",
		"Using deprecated option",  // ours to change with Envoy's version, not the user's
		"using deprecated runtime", // likewise
	} {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}
