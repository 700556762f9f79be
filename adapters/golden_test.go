package adapters

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/adapters/fanout"
	"github.com/sluicegw/sluice/adapters/fetch"
	"github.com/sluicegw/sluice/internal/apierror"
)

var update = flag.Bool("update", false, "rewrite the want files of testdata")

func init() {
	clock = func() time.Time { return time.Unix(1700000000, 0) }
	randomID = func() string { return "random" }
	off, err := fetch.New(fetch.Settings{MaxBytes: -1})
	if err != nil {
		panic(err)
	}
	strangers = func() *fetch.Fetcher { return off } // no test goes out by itself
}

// golden is one case: a txtar file with
//
//	params.json    the deployment's parameters; model, api_key … (optional)
//	op             chat, completion, embedding or rerank (optional)
//	in.json        the client's request
//	web/NAME       a file at http://web.test/NAME, for URLs in in.json (optional)
//	upstream.http  status and headers of the answer, one a line (optional)
//	upstream.json, .sse, .ndjson, .txt   its body
//	upstream.aws   its body as AWS's event stream: an event a line, its name and its JSON (see framesOf)
//
// and what is expected: want.request, want.json, want.sse, want.error, want.usage.
type golden struct {
	t       *testing.T
	path    string
	archive *txtar.Archive
	changed bool
	webURL  string
	fetcher *fetch.Fetcher
}

func load(t *testing.T, path string) *golden {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{t: t, path: path, archive: a}
	g.web()
	return g
}

func (g *golden) file(name string) ([]byte, bool) {
	for _, f := range g.archive.Files {
		if f.Name == name {
			return f.Data, true
		}
	}
	return nil, false
}

// want compares got with a want file, or writes it. No output and no file agree.
func (g *golden) want(name string, got []byte) {
	g.t.Helper()
	want, ok := g.file(name)
	if len(got) > 0 && got[len(got)-1] != '\n' {
		got = append(slices.Clip(got), '\n')
	}
	if bytes.Equal(want, got) && ok == (len(got) > 0) {
		return
	}
	if !*update {
		g.t.Errorf("%s: %s:\ngot:\n%s\nwant:\n%s", g.path, name, got, want)
		return
	}
	g.changed = true
	g.archive.Files = slices.DeleteFunc(g.archive.Files, func(f txtar.File) bool { return f.Name == name })
	if len(got) > 0 {
		g.archive.Files = append(g.archive.Files, txtar.File{Name: name, Data: got})
	}
}

func (g *golden) save() {
	if !g.changed {
		return
	}
	if err := os.WriteFile(g.path, txtar.Format(g.archive), 0o644); err != nil {
		g.t.Fatal(err)
	}
}

func (g *golden) params(provider string) Params {
	var file struct {
		Model, APIKey, APIBase, APIVersion, Organization string
		ExtraHeaders                                     map[string]string
		Defaults                                         map[string]json.RawMessage
		ExtraBody                                        json.RawMessage
		DropParams                                       bool
		AdditionalDropParams                             []string
		BaseModel                                        string
		Settings                                         map[string]string
		Fanout                                           string
		Fetcher                                          *fetch.Fetcher  `json:"-"`
		Prices                                           *catalog.Pricer `json:"-"`
	}
	file.Fetcher = g.fetcher
	if b, ok := g.file("params.json"); ok {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&file); err != nil {
			g.t.Fatalf("%s: params.json: %s", g.path, err)
		}
	}
	p := Params(file)
	if p.Model == "" {
		p.Model = provider + "/test-model"
	}
	row := byName(provider)
	if row != nil && row.host == (bedrockHost{}) {
		if p.APIKey == "" && p.Settings == nil {
			p.Settings = map[string]string{"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret-0123456789"}
		}
		return p
	}
	switch p.APIKey {
	case "":
		p.APIKey = "sk-test-0123456789"
	case "-":
		p.APIKey = "" // none at all
	}
	if p.APIBase == "" && row != nil && row.base == "" {
		p.APIBase = "http://127.0.0.1:8000/v1"
	}
	return p
}

// webHost, in a case's request, stands for a server that has the case's sections web/….
const webHost = "http://web.test"

// web serves the sections web/…, if there are any, and makes a fetcher that may go there.
func (g *golden) web() {
	pages := map[string][]byte{}
	for _, f := range g.archive.Files {
		if path, ok := strings.CutPrefix(f.Name, "web"); ok && strings.HasPrefix(path, "/") {
			pages[path] = bytes.TrimSuffix(f.Data, []byte("\n"))
		}
	}
	if len(pages) == 0 {
		return
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if page, ok := pages[r.URL.Path]; ok {
			w.Header().Set("Content-Type", "application/octet-stream") // the name tells
			w.Write(page)
			return
		}
		http.NotFound(w, r)
	}))
	g.t.Cleanup(server.Close)
	g.webURL = server.URL
	var err error
	if g.fetcher, err = fetch.New(fetch.Settings{AllowedHosts: []string{"127.0.0.1"}}); err != nil {
		g.t.Fatal(err)
	}
}

func (g *golden) request() *Request {
	g.t.Helper()
	in, ok := g.file("in.json")
	if !ok {
		g.t.Fatalf("%s: no in.json", g.path)
	}
	in = bytes.ReplaceAll(in, []byte(webHost), []byte(g.webURL))
	op := Chat
	switch b, _ := g.file("op"); strings.TrimSpace(string(b)) {
	case "completion":
		op = Completion
	case "embedding":
		op = Embedding
	case "rerank":
		op = Rerank
	}
	r, err := Parse(op, in)
	if err != nil {
		g.t.Fatalf("%s: in.json: %s", g.path, err)
	}
	return r
}

// upstream is the status, header lookup and body of the answer; ok is false if the case has none.
func (g *golden) upstream() (status int, header func(string) string, body []byte, ok bool) {
	h := http.Header{}
	status = 200
	for _, kind := range [...]struct{ name, media string }{
		{"upstream.json", "application/json"}, {"upstream.sse", "text/event-stream"}, {"upstream.txt", "text/html"},
		{"upstream.ndjson", "application/x-ndjson"},
	} {
		if b, found := g.file(kind.name); found {
			body, ok = b, true
			h.Set("content-type", kind.media)
		}
	}
	if b, found := g.file("upstream.aws"); found {
		body, ok = framesOf(g.t, string(b)), true
		h.Set("content-type", "application/vnd.amazon.eventstream")
	}
	if b, found := g.file("upstream.http"); found {
		ok = true
		for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
			if i == 0 {
				status, _ = strconv.Atoi(strings.TrimSpace(line))
				continue
			}
			k, v, _ := strings.Cut(line, ":")
			h.Set(k, strings.TrimSpace(v))
		}
	}
	return status, h.Get, body, ok
}

// answer is all that a client and the gateway see of a reply.
type answer struct {
	body   []byte
	err    *apierror.Error
	usage  string
	stream bool
}

func (g *golden) answer(t *Target, r *Request, cut func(rest int) int) answer {
	status, header, body, _ := g.upstream()
	p := t.Reply(r, r.Model())
	var a answer
	switch p.Begin(status, header) {
	case Whole:
		a.body, a.err = p.Whole(slices.Clone(body))
		a.stream = r.stream && a.err == nil
	case Events:
		a.stream = true
		for rest := body; len(rest) > 0; {
			n := cut(len(rest))
			// The piece is the caller's again afterwards: scribble over it.
			piece := slices.Clone(rest[:n])
			a.body = p.Events(a.body, piece)
			for i := range piece {
				piece[i] = '#'
			}
			rest = rest[n:]
		}
		a.body = p.End(a.body)
		a.err = p.Err()
	}
	if u, ok := p.Usage(); ok {
		a.usage = fmt.Sprintf("prompt %d completion %d total %d cached %d written %d reasoning %d\n",
			u.Prompt, u.Completion, u.Total, u.CachedRead, u.CacheWrite, u.Reasoning)
		if u.Searches+u.Lookups+u.Images+u.Characters > 0 {
			a.usage += fmt.Sprintf("searches %d lookups %d images %d characters %d\n", u.Searches, u.Lookups, u.Images, u.Characters)
		}
		if u.Partial {
			a.usage += "partial\n"
		}
	}
	if n := p.Produced(); n > 0 {
		a.usage += fmt.Sprintf("produced %d bytes\n", n)
	}
	if f := p.FinishReason(); f != "" {
		a.usage += "finish " + f + "\n"
	}
	if a.err != nil {
		a.usage += fmt.Sprintf("error %s %d from %q", a.err.Kind, a.err.Status, a.err.Provider)
		if a.err.RetryAfter > 0 {
			a.usage += " retry after " + a.err.RetryAfter.String()
		}
		a.usage += "\n"
	}
	return a
}

func (g *golden) check(t *Target, withRequest bool) {
	g.t.Helper()
	r := g.request()
	before := bytes.Clone(r.body)
	out, err := t.Request(r)
	if e := t.Supports(r); (e == nil) != (err == nil) && e != nil {
		g.t.Errorf("%s: Supports says %v, Request %v", g.path, e, err)
	}
	if !bytes.Equal(r.body, before) {
		g.t.Errorf("%s: the request was modified", g.path)
	}
	if withRequest {
		if err != nil {
			g.want("want.request", append([]byte("refused\n"), indent(err.JSON())...))
		} else {
			g.want("want.request", renderRequest(out))
		}
	}
	if _, _, _, ok := g.upstream(); !ok {
		return
	}
	a := g.answer(t, r, func(rest int) int { return rest })
	g.compare(t, r, a)
	switch {
	case a.stream:
		checkStream(g.t, g.path, a.body)
		g.want("want.sse", a.body)
	case a.err != nil:
		g.want("want.error", indent(a.err.JSON()))
	default:
		if !json.Valid(a.body) {
			g.t.Errorf("%s: the answer is not valid JSON: %s", g.path, a.body)
		}
		g.want("want.json", indent(a.body))
	}
	g.want("want.usage", []byte(a.usage))
}

// compare feeds the answer byte by byte and at random cuts: the client must not see the difference.
func (g *golden) compare(t *Target, r *Request, whole answer) {
	g.t.Helper()
	cuts := map[string]func(int) int{"byte by byte": func(int) int { return 1 }}
	for seed := range uint64(8) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		cuts["seed "+strconv.FormatUint(seed, 10)] = func(rest int) int { return 1 + rnd.IntN(min(rest, 1+rnd.IntN(200))) }
	}
	for name, cut := range cuts {
		if a := g.answer(t, r, cut); !bytes.Equal(a.body, whole.body) || a.usage != whole.usage {
			g.t.Errorf("%s: fed %s:\n%s%s\nfed whole:\n%s%s", g.path, name, a.body, a.usage, whole.body, whole.usage)
		}
	}
}

func renderRequest(out *Outgoing) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\nhost: %s\n", out.Method, out.Path, out.Authority)
	for _, h := range out.Headers {
		if h.Name == fanout.TokenHeader {
			h.Value = "***" // another one in each process
		}
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	b.WriteByte('\n')
	b.Write(indent(out.Body))
	return b.Bytes()
}

// indent spreads JSON over lines without touching its tokens.
func indent(b []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return b
	}
	return out.Bytes()
}

func TestGolden(t *testing.T) {
	paths, _ := filepath.Glob("testdata/*/*.txtar")
	n := 0
	for _, path := range paths {
		provider := filepath.Base(filepath.Dir(path))
		if provider == "shared" {
			continue
		}
		n++
		t.Run(provider+"/"+strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			g := load(t, path)
			target, err := New(g.params(provider))
			if err != nil {
				t.Fatal(err)
			}
			if target.Provider() != provider {
				t.Fatalf("%s is a case of provider %s", path, target.Provider())
			}
			g.check(target, true)
			g.save()
		})
	}
	if n == 0 {
		t.Fatal("no golden files found")
	}
}

// needed are the cases that every provider must have: of its own, or shared by those whose answers are
// OpenAI's.
var needed = []string{"whole", "stream", "tools", "error", "truncated"}

func TestEveryProviderHasItsCases(t *testing.T) {
	for _, name := range Providers() {
		for _, c := range needed {
			own := filepath.Join("testdata", name, c+".txtar")
			if _, err := os.Stat(own); err == nil {
				continue
			}
			if _, ok := byName(name).dialect.(openAI); !ok {
				t.Errorf("provider %s has no case %s", name, own)
				continue
			}
			t.Run(name+"/"+c, func(t *testing.T) {
				g := load(t, filepath.Join("testdata", "shared", c+".txtar"))
				target, err := New(g.params(name))
				if err != nil {
					t.Fatal(err)
				}
				asked := *update
				*update = asked && name == "custom_openai"
				defer func() { *update = asked }()
				g.provider(name)
				g.check(target, false)
				g.save()
			})
		}
	}
}

// provider puts a provider's name where shared cases say PROVIDER.
func (g *golden) provider(name string) {
	if *update {
		return
	}
	for i, f := range g.archive.Files {
		g.archive.Files[i].Data = bytes.ReplaceAll(f.Data, []byte("custom_openai"), []byte(name))
	}
}

// checkStream makes sure that every event is valid JSON and that the last one is [DONE], once.
func checkStream(t *testing.T, path string, stream []byte) {
	t.Helper()
	events := strings.Split(string(stream), "\n\n")
	if len(events) < 2 || events[len(events)-1] != "" {
		t.Fatalf("%s: the stream does not end after an event: %q", path, stream)
	}
	events = events[:len(events)-1]
	for i, e := range events {
		data, ok := strings.CutPrefix(e, "data: ")
		if !ok || strings.Contains(data, "\n") {
			t.Errorf("%s: event %d is not one data line: %q", path, i, e)
		}
		if last := i == len(events)-1; last != (data == "[DONE]") {
			t.Errorf("%s: event %d of %d is %q", path, i, len(events), data)
		} else if !last && !json.Valid([]byte(data)) {
			t.Errorf("%s: event %d is not valid JSON: %q", path, i, data)
		}
	}
}
