package adapters

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluicegw/sluice/adapters/fetch"
)

func TestFilesAreFetchedOnceARequest(t *testing.T) {
	var hits atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		fmt.Fprint(w, "\x89PNG\r\n\x1a\n", r.URL.Path)
	}))
	defer s.Close()
	f, err := fetch.New(fetch.Settings{AllowedHosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	target, err := New(Params{Model: "anthropic/claude-sonnet-4-5", Fetcher: f})
	if err != nil {
		t.Fatal(err)
	}
	image := func(path string) string { return `{"type":"image_url","image_url":{"url":"` + s.URL + path + `"}}` }
	r, e := Parse(Chat, []byte(`{"model":"m","messages":[{"role":"user","content":[`+image("/a")+`,`+image("/b")+`,`+image("/a")+`]}]}`))
	if e != nil {
		t.Fatal(e)
	}
	var wait sync.WaitGroup
	for range 5 {
		wait.Go(func() {
			out, e := target.Request(r)
			if e != nil {
				t.Error(e)
			} else if n := strings.Count(string(out.Body), `"media_type":"image/png","data":"`); n != 3 {
				t.Errorf("%d images: %s", n, out.Body)
			}
		})
	}
	wait.Wait()
	if hits.Load() != 2 {
		t.Errorf("%d fetches of 2 files", hits.Load())
	}
}

// What a stranger's URL leads to is told by the field that holds it, and by nothing else.
func TestFilesThatCannotBeFetched(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	f, err := fetch.New(fetch.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	target, err := New(Params{Model: "anthropic/claude-sonnet-4-5", Fetcher: f})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ members, want string }{
		{`"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"b"},{"type":"image_url","image_url":{"url":"` + s.URL + `/secret.png?sig=1"}}]}]`,
			"messages[1].content[1].image_url.url: 'messages[1].content[1].image_url.url' could not be fetched: its host does not exist, or is not on the public internet."},
		{`"messages":[{"role":"user","content":[{"type":"image_url","image_url":"http:///a"}]}]`,
			"messages[0].content[0].image_url: 'messages[0].content[0].image_url' must be an http(s) URL with a host."},
	} {
		r, e := Parse(Chat, []byte(`{"model":"m",`+c.members+`}`))
		if e != nil {
			t.Fatal(e)
		}
		got := ""
		if _, e := target.Request(r); e != nil && e.Status == 400 {
			got = e.Param + ": " + e.Message
		}
		if got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.members, got, c.want)
		}
	}
}
