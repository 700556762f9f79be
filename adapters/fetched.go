package adapters

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluicegw/sluice/adapters/fetch"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// strangers is the fetcher of targets that were given none: it has the defaults.
var strangers = sync.OnceValue(func() *fetch.Fetcher {
	f, err := fetch.New(fetch.Settings{})
	if err != nil {
		panic("adapters: " + err.Error()) // the defaults are valid, or every test fails
	}
	return f
})

// fetched is the file that a URL of the request leads to, for a provider that takes no URLs. The media type
// is in lower case and without parameters. What was fetched is remembered for the request's other attempts;
// data must not be modified. The error, for the client, names the field that holds the URL.
//
// It blocks until the file is there, for at most a minute in all of one request.
func (c *call) fetched(url string) (mediaType string, data []byte, err *apierror.Error) {
	f := c.t.fetcher
	if f == nil {
		f = strangers()
	}
	memo := c.r.files
	if memo == nil {
		memo = new(fetch.Memo)
	}
	file, failed := memo.Get(f, url, func() []string { return c.imageURLs(url) })
	if failed == nil {
		return file.MediaType, file.Data, nil
	}
	at := c.fieldOf(url)
	if failed.Busy {
		err = apierror.New(apierror.Overloaded, http.StatusServiceUnavailable, "'%s' %s.", at, failed.Why)
		err.Param, err.RetryAfter = at, time.Second
		return "", nil, err
	}
	return "", nil, refused(at, "'%s' %s.", at, failed.Why)
}

// imageURLs are the URLs of images with the same scheme as one that is needed: where the provider does not
// take that one, it takes none of them, so their fetches may begin at once.
func (c *call) imageURLs(like string) (urls []string) {
	scheme, _, _ := strings.Cut(like, ":")
	c.webURLs(func(url, field string) bool {
		if strings.Contains(field, "].image_url") && strings.HasPrefix(url, scheme+":") {
			urls = append(urls, url)
		}
		return true
	})
	return urls
}

// fieldOf names the field of the request that holds a URL.
func (c *call) fieldOf(url string) string {
	at := "messages"
	c.webURLs(func(u, field string) bool {
		if u == url {
			at = field
		}
		return u != url
	})
	return at
}

// webURLs visits the URLs in the content of the messages until yield returns false.
func (c *call) webURLs(yield func(url, field string) bool) {
	i := -1
	for m := range c.get("messages").Elements() {
		i++
		content := m.Get("content")
		if !content.IsArray() {
			continue
		}
		j := -1
		for part := range content.Elements() {
			j++
			url, field := partURL(part)
			if isWeb(url) && !yield(url, "messages["+strconv.Itoa(i)+"].content["+strconv.Itoa(j)+"]"+field) {
				return
			}
		}
	}
}

// partURL is the URL in a content part and the name of its field.
func partURL(part jsondoc.Value) (url, field string) {
	for _, p := range [...][]string{
		{"image_url", "url"}, {"image_url"}, {"file", "file_id"}, {"file", "file_data"}, {"file", "file_url"},
		{"video_url", "url"}, {"audio_url", "url"}, {"input_audio", "data"}, {"source", "url"},
	} {
		v := part
		for _, name := range p {
			v = v.Get(name)
		}
		if v.IsString() {
			return v.Text(), "." + strings.Join(p, ".")
		}
	}
	return "", ""
}
