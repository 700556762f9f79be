package adapters

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// failure is what a provider's error object says. Only message is always there.
type failure struct {
	message string
	typ     string // the provider's words for what kind of error it is
	code    string
	param   string
	status  int           // the HTTP status that the object stands for, if it tells
	retry   time.Duration // what the object asks to wait
	most    int           // bytes of the message that are passed on; 0: 4096
}

// quote takes an object that has no message of its own for one.
func (f *failure) quote(v jsondoc.Value) { f.message, f.most = string(v), 300 }

// refusal reads the body of an answer whose status is not 2xx.
func (p *Reply) refusal(body []byte) *apierror.Error {
	if p.status >= 300 && p.status < 400 {
		return p.bad("HTTP %d, a redirect; check the deployment's api_base", p.status)
	}
	var f *failure
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	if p.doc.Reset(onlyElement(body), true) == nil {
		f = p.call.t.p.dialect.failure(&p.doc)
	}
	if f == nil {
		f = &failure{message: p.plain(body)}
	}
	if f.message == "" {
		f.message = strings.TrimSpace("HTTP " + strconv.Itoa(p.status) + " " + http.StatusText(p.status))
	}
	if f.typ == "" {
		f.typ = p.heard.errorType
	}
	f.status = p.status
	return p.failed(p.status, f)
}

// onlyElement is the object in an array of one, as Google sends errors of streamed calls; else it is body.
func onlyElement(body []byte) []byte {
	text := bytes.TrimSpace(body)
	if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' {
		return body
	}
	return text[1 : len(text)-1]
}

// reported is the client's error for an event that tells one; f is nil if it does so in no known shape.
func (p *Reply) reported(f *failure) *apierror.Error {
	if f == nil {
		f = &failure{}
		f.quote(jsondoc.Value(p.doc.Text()))
	}
	return p.failed(http.StatusInternalServerError, f)
}

// failed is the client's error for a provider's; status counts where the failure does not tell its own.
func (p *Reply) failed(status int, f *failure) *apierror.Error {
	if f.status >= 400 && f.status <= 599 {
		status = f.status
	}
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	most := f.most
	if most == 0 {
		most = 4096
	}
	// The failure's texts are views of an event that is overwritten by the next one. They are cut when no credential is
	// in them any more: half a credential would not be found.
	e := &apierror.Error{
		Message: strings.Clone(clipText(p.scrub(f.message), most)), Param: strings.Clone(clipText(p.scrub(f.param), 128)),
		Provider: p.call.t.p.name, RetryAfter: p.retry,
	}
	if e.Message == "" {
		e.Message = p.call.t.p.name + " sent an error without a message."
	}
	if e.RetryAfter == 0 {
		e.RetryAfter = f.retry
	}
	if d, ok := p.call.t.p.dialect.(classifier); ok {
		e.Kind, e.Status = d.classify(status, f)
	} else {
		e.Kind, e.Status = classify(status, f)
	}
	if passed := p.call.t.p.quirks.status; passed != nil {
		e.Status = passed(&p.call, e.Status, f)
	}
	return e
}

// scrub takes the deployment's credentials out of a provider's words: some repeat the key they refuse.
func (p *Reply) scrub(s string) string {
	for _, secret := range p.call.t.secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return p.call.t.tokens.scrub(p.call.t.aws.scrub(s))
}

// secretsOf lists what [Reply.scrub] looks for beside tokens that change: keys, and the values of headers and of
// the base URL's query.
func (t *Target) secretsOf() (list []string) {
	const least = 8 // shorter "keys" such as "none" are placeholders and would blot out plain words
	add := func(s string) {
		if len(s) >= least && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	add(t.key)
	add(t.bearer)
	for _, h := range t.headers {
		add(h.Value)
		_, token, _ := strings.Cut(h.Value, " ")
		add(token)
	}
	for pair := range strings.SplitSeq(strings.TrimPrefix(t.query, "?"), "&") {
		name, value, _ := strings.Cut(pair, "=")
		if name == "api-version" {
			continue
		}
		add(value)
		if plain, err := url.QueryUnescape(value); err == nil {
			add(plain)
		}
	}
	return list
}

// plain is [plain] without credentials, which half of one would no longer be known for.
func (p *Reply) plain(body []byte) string {
	return plain([]byte(p.scrub(string(body[:min(len(body), mostPlain)]))))
}

// mostPlain is how much of a page is looked at in bytes.
const mostPlain = 64 << 10

// plain is the first words of an error page or a text, without markup.
func plain(body []byte) string {
	const most = 300
	body = body[:min(len(body), mostPlain)]
	var out strings.Builder
	text := string(body)
	space := false
	for len(text) > 0 && out.Len() < most {
		if text[0] == '<' {
			text = skipTag(text)
			space = true
			continue
		}
		r, n := utf8.DecodeRuneInString(text)
		text = text[n:]
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			space = true
			continue
		}
		if space && out.Len() > 0 {
			out.WriteByte(' ')
		}
		space = false
		out.WriteRune(r)
	}
	return out.String()
}

// skipTag is what follows an HTML tag; for scripts and styles, what follows their end.
func skipTag(text string) string {
	end := strings.IndexByte(text, '>')
	if end < 0 {
		return ""
	}
	tag := strings.ToLower(text[1:min(end, 16)])
	text = text[end+1:]
	for _, name := range [...]string{"script", "style"} {
		if strings.HasPrefix(tag, name) {
			i := strings.Index(strings.ToLower(text), "</"+name)
			if i < 0 {
				return ""
			}
			return text[i:]
		}
	}
	return text
}

// clipText cuts s after at most n bytes, at a character.
func clipText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// retryAfter reads how long to wait: seconds, a date, or the milliseconds that some providers add.
//
// https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
func retryAfter(header func(string) string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	if ms, err := strconv.ParseFloat(strings.TrimSpace(header("retry-after-ms")), 64); err == nil && ms > 0 {
		return min(time.Duration(min(ms, 1e9)*float64(time.Millisecond)), most)
	}
	v := strings.TrimSpace(header("retry-after"))
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		if s > 0 {
			return min(time.Duration(min(s, 1e6)*float64(time.Second)), most)
		}
		return 0
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return min(at.Sub(now), most)
	}
	return 0
}
