// Command providercmd is the scripted provider as a process of its own, for benchmarks and for trying a
// gateway by hand.
//
//	providercmd --listen 127.0.0.1:9100 --events 20 --gap 50ms
//	providercmd --listen 127.0.0.1:9100 --script rules.json
//
// It answers OpenAI's and Anthropic's paths from replies made at the start and records nothing.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "providercmd:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("providercmd", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9100", "host:port to listen on")
	withTLS := flags.Bool("tls", false, "serve TLS with HTTP/2, with a certificate of its own")
	script := flags.String("script", "", "JSON file of rules: [{path, model, key, replies: [{status, header, delay, chunks, gzip, end}]}]")
	delay := flags.Duration("delay", 0, "time before the headers of an answer")
	events := flags.Int("events", 20, "text events of a stream")
	gap := flags.Duration("gap", 0, "time between the events of a stream")
	size := flags.Int("size", 100, "bytes of text in an answer that is not streamed")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *events < 0 || *size < 0 || *delay < 0 || *gap < 0 {
		return errors.New("--events, --size, --delay and --gap must not be negative")
	}
	s, err := provider.Listen(*listen, provider.Options{TLS: *withTLS, Keep: -1, Defaults: defaults(*events, *size, *delay, *gap)})
	if err != nil {
		return err
	}
	defer s.Close()
	if *script != "" {
		text, err := os.ReadFile(*script)
		if err != nil {
			return err
		}
		rules, err := provider.ParseScript(text)
		if err != nil {
			return fmt.Errorf("%s: %w", *script, err)
		}
		for _, r := range rules {
			s.On(r.Match, r.Replies...)
		}
	}
	fmt.Println("listening on", s.URL)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	select {
	case <-stop:
		return nil
	case <-s.Done():
		return errors.New("the listener failed")
	}
}

// defaults makes the answers once.
func defaults(events, size int, delay, gap time.Duration) *provider.Defaults {
	u := provider.Usage{Input: 10, Output: max(1, events)}
	text := strings.Repeat("lorem ipsum ", size/12+1)[:size]
	words := make([]string, events)
	for i := range words {
		words[i] = " tok" + strconv.Itoa(i)
	}
	d := provider.NewDefaults()
	d.Chat = provider.Chat("gpt-4o", text, u).After(delay)
	d.Message = provider.Message("claude-sonnet-4-5", text, u).After(delay)
	d.ChatStream = provider.ChatStream("gpt-4o", u, words...).After(delay).Every(gap)
	d.MessageStream = provider.MessageStream("claude-sonnet-4-5", u, words...).After(delay).Every(gap)
	return d
}
