package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/internal/testtools"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/store"
)

// biller is a provider that counts what it bills: every call uses as many output tokens as it may, at most 90, and 10
// of input; each costs $0.0001.
type biller struct {
	*httptest.Server
	delay  time.Duration
	served sync.Map // call → money.Amount
	total  atomic.Int64
}

const tokenPrice = money.Dollar / 10_000

func newBiller(t testing.TB, delay time.Duration) *biller {
	t.Helper()
	b := &biller{delay: delay}
	b.Server = httptest.NewServer(http.HandlerFunc(b.answer))
	t.Cleanup(b.Close)
	return b
}

func (b *biller) answer(w http.ResponseWriter, r *http.Request) {
	var in struct {
		MaxTokens int64 `json:"max_tokens"`
		Stream    bool
		Messages  []struct{ Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Messages) == 0 {
		http.Error(w, "no request", http.StatusBadRequest)
		return
	}
	output := int64(90)
	if in.MaxTokens > 0 {
		output = min(output, in.MaxTokens)
	}
	time.Sleep(b.delay)
	cost := money.Amount(10+output) * tokenPrice
	b.served.Store(in.Messages[0].Content, cost)
	b.total.Add(int64(cost))
	usage := fmt.Sprintf(`{"prompt_tokens":10,"completion_tokens":%d,"total_tokens":%d}`, output, 10+output)
	if in.Stream {
		w.Header().Set("content-type", "text/event-stream")
		for range 3 {
			fmt.Fprint(w, `data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}`+"\n\n")
			w.(http.Flusher).Flush()
		}
		fmt.Fprintf(w, "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":%s}\n\ndata: [DONE]\n\n", usage)
		return
	}
	w.Header().Set("content-type", "application/json")
	fmt.Fprintf(w, `{"id":"same-for-all","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":%s}`, usage)
}

func (b *biller) config(more string) string {
	return fmt.Sprintf(`
model_list:
  - model_name: m
    litellm_params: {model: openai/x, api_base: %s/v1, api_key: %s, input_cost_per_token: 0.0001, output_cost_per_token: 0.0001}
general_settings:
  master_key: %s
%s`, b.URL, providerKey, masterKey, more)
}

// bill makes one call by a name of its own, with the master key or another, and tells its status; 0: the client did not
// get all of the answer.
func bill(client *http.Client, url, name string, stream bool, key ...string) (status int, header http.Header) {
	body := fmt.Sprintf(`{"model":"m","max_tokens":90,"stream":%t,"messages":[{"role":"user","content":%q}]}`, stream, name)
	req, _ := http.NewRequest(http.MethodPost, url+completions, strings.NewReader(body))
	req.Header.Set("authorization", "Bearer "+append(key, masterKey)[0])
	req.Header.Set("content-type", "application/json")
	req.Header.Set("x-litellm-call-id", name)
	res, err := client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || stream && res.StatusCode == 200 && !bytes.Contains(text, []byte("[DONE]")) {
		return 0, nil
	}
	return res.StatusCode, res.Header
}

func manyClients() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 300, MaxConnsPerHost: 300}}
}

// rows are all rows of a gateway's ledger, by the call's name. The gateway must have stopped, or have flushed.
func rows(t testing.TB, o store.Options) map[string][]ledger.Row {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	<-db.Ready()
	l := ledger.New(db)
	out := map[string][]ledger.Row{}
	if err := l.Each(t.Context(), ledger.Filter{}, func(r *ledger.Row) { out[r.RequestID] = append(out[r.RequestID], *r) }); err != nil {
		t.Fatal(err)
	}
	days, err := l.Verify(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if fits, _ := ledger.WriteTable(&table, days); !fits {
		t.Errorf("the ledger does not fit:\n%s", &table)
	}
	return out
}

// terminate stops a gateway in order.
func (g *gateway) terminate(t testing.TB) {
	t.Helper()
	_ = g.cmd.Process.Signal(os.Interrupt)
	select {
	case <-g.ended:
	case <-time.After(patience):
		t.Fatal("the gateway did not stop")
	}
}

// TestBudgetHolds: 200 clients at once on a budget of $1 with calls of $0.01; whoever is refused tries once more. Never
// more than $1.00 is spent, and never less than $0.98.
func TestBudgetHolds(t *testing.T) {
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream=%t", stream), func(t *testing.T) {
			b := newBiller(t, 20*time.Millisecond)
			g := start(t, b.config(""))
			g.showOnFailure(t)
			defer g.stop()
			key := generate(t, g, `{"max_budget":1,"budget_duration":"1mo"}`)
			client := manyClients()
			var wg sync.WaitGroup
			var ok, refused, odd atomic.Int64
			for n := range 200 {
				wg.Go(func() {
					for try := range 2 {
						switch status, _ := bill(client, g.url, fmt.Sprintf("call-%d-%d", n, try), stream, key); status {
						case 200:
							ok.Add(1)
							return
						case 422:
							refused.Add(1)
						default:
							odd.Add(1)
							t.Errorf("client %d got %d", n, status)
							return
						}
					}
				})
			}
			wg.Wait()
			spent := money.Amount(b.total.Load())
			t.Logf("%d answered, %d times refused, %s spent", ok.Load(), refused.Load(), spent)
			if spent > money.Dollar || spent < 98*money.Cent {
				t.Errorf("spent %s of 1", spent)
			}
			if status, _ := bill(client, g.url, "one more", stream, key); status != 422 && spent >= 99*money.Cent {
				t.Errorf("one more got %d", status)
			}
			g.terminate(t)
			var sum money.Amount
			for _, of := range rows(t, store.Options{Path: dataFile(t, g)}) {
				for _, r := range of {
					sum += r.Spend
				}
			}
			if want := money.Amount(b.total.Load()); sum != want {
				t.Errorf("the ledger has %s, the provider billed %s", sum, want)
			}
		})
	}
}

// generate makes a key.
func generate(t testing.TB, g *gateway, body string) string {
	t.Helper()
	req, _ := http.NewRequest(http.MethodPost, g.url+"/key/generate", strings.NewReader(body))
	req.Header.Set("authorization", "Bearer "+masterKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var out struct{ Key string }
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || out.Key == "" {
		t.Fatalf("no key: %d %v", res.StatusCode, err)
	}
	return out.Key
}

// dataFile finds the gateway's SQLite file.
func dataFile(t testing.TB, g *gateway) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(g.dir, ".local/state/sluice/*/sluice.db"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the data is in %v: %v", found, err)
	}
	return found[0]
}

// load calls without pause until it is stopped, and keeps what became of each call.
type load struct {
	results sync.Map // name → status
	count   atomic.Int64
	stop    atomic.Bool
	wg      sync.WaitGroup
}

func newLoad(url, prefix string, clients int) *load {
	l := &load{}
	client := manyClients()
	for c := range clients {
		l.wg.Go(func() {
			for n := 0; !l.stop.Load(); n++ {
				name := fmt.Sprintf("%s-%d-%d", prefix, c, n)
				l.results.Store(name, 0)
				status, _ := bill(client, url, name, n%2 == 0)
				l.results.Store(name, status)
				l.count.Add(1)
				if status != 200 {
					time.Sleep(5 * time.Millisecond)
				}
			}
		})
	}
	return l
}

func (l *load) end() { l.stop.Store(true); l.wg.Wait() }

// compare looks at every call of a load: one that its client has all of has one row, with what the provider billed; any
// other has one row at most, of what was billed or of what was reserved.
func (l *load) compare(t testing.TB, b *biller, of map[string][]ledger.Row) (completed, orphaned int) {
	t.Helper()
	l.results.Range(func(name, status any) bool {
		call := of[name.(string)]
		billed, served := b.served.Load(name)
		switch {
		case status == 200 && (len(call) != 1 || call[0].Spend != billed || call[0].Orphaned):
			t.Errorf("%s was completed and billed %v, and has the rows %+v", name, billed, call)
		case status == 200:
			completed++
		case len(call) > 1, served && len(call) == 0:
			t.Errorf("%s (status %v) was billed %v, and has the rows %+v", name, status, billed, call)
		case len(call) == 1 && call[0].Orphaned:
			orphaned++
			if served && call[0].Spend < billed.(money.Amount) {
				t.Errorf("%s was billed %v, and is settled at %s", name, billed, call[0].Spend)
			}
		}
		return true
	})
	return completed, orphaned
}

// TestKilledUnderLoad: SIGKILL again and again.
func TestKilledUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("several starts")
	}
	killedUnderLoad(t, 3)
}

func TestSoakKilledUnderLoad(t *testing.T) {
	if os.Getenv("SLUICE_SOAK") == "" {
		t.Skip("run by make soak")
	}
	killedUnderLoad(t, 30)
}

func killedUnderLoad(t *testing.T, rounds int) {
	b := newBiller(t, 10*time.Millisecond)
	data := testtools.Dir(t)
	var loads []*load
	for round := range rounds {
		g := start(t, b.config("  max_budget: 1000"), "--data-dir", data)
		l := newLoad(g.url, fmt.Sprint("round", round), 24)
		waitFor(t, func() bool { return l.count.Load() > 150 })
		if err := g.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-g.ended
		l.end()
		loads = append(loads, l)
	}
	g := start(t, b.config("  max_budget: 1000"), "--data-dir", data)
	if status, _ := bill(manyClients(), g.url, "afterwards", false); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
	g.terminate(t)
	all := rows(t, store.Options{Path: filepath.Join(data, "sluice.db")})
	var completed, orphaned int
	for _, l := range loads {
		c, o := l.compare(t, b, all)
		completed, orphaned = completed+c, orphaned+o
	}
	t.Logf("%d calls completed, %d were under way at a kill", completed, orphaned)
	if completed < 100*rounds || orphaned == 0 {
		t.Errorf("%d calls completed, %d were under way: the test tests too little", completed, orphaned)
	}
}

// waitFor waits until something is so.
func waitFor(t testing.TB, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited for too long")
		}
	}
}

// TestDatabaseAway: PostgreSQL stops under load and comes back. Calls go on, nothing is lost, nothing is twice.
func TestDatabaseAway(t *testing.T) {
	if testing.Short() {
		t.Skip("a real PostgreSQL")
	}
	databaseAway(t, 10*time.Second)
}

func TestSoakDatabaseAway(t *testing.T) {
	if os.Getenv("SLUICE_SOAK") == "" {
		t.Skip("run by make soak")
	}
	databaseAway(t, time.Minute)
}

func databaseAway(t *testing.T, away time.Duration) {
	pg := testtools.Postgres(t)
	b := newBiller(t, 10*time.Millisecond)
	g := start(t, b.config("  max_budget: 1000\n  database_url: "+pg.URL))
	g.showOnFailure(t)
	l := newLoad(g.url, "pg", 8)
	waitFor(t, func() bool { return l.count.Load() > 100 })
	pg.Kill()
	before := l.count.Load()
	time.Sleep(away)
	if n := l.count.Load() - before; n < 50 {
		t.Errorf("only %d calls while the database was away", n)
	}
	pg.Restart()
	before = l.count.Load()
	waitFor(t, func() bool { return l.count.Load() > before+100 })
	l.end()
	g.terminate(t)
	completed, _ := l.compare(t, b, rows(t, store.Options{URL: pg.URL}))
	t.Logf("%d of %d calls completed", completed, l.count.Load())
	if int64(completed) != l.count.Load() {
		t.Errorf("%d of %d calls completed", completed, l.count.Load())
	}
}

// TestBudgetIsShared: the same over three gateways with one Redis and one PostgreSQL, and once more after the Redis has
// lost its data.
func TestBudgetIsShared(t *testing.T) {
	if testing.Short() {
		t.Skip("a real PostgreSQL and Valkey")
	}
	pg, valkey := testtools.Postgres(t), testtools.Valkey(t)
	b := newBiller(t, 20*time.Millisecond)
	config := b.config("  max_budget: 1\n  database_url: " + pg.URL + "\nlitellm_settings: {cache_params: {type: redis, url: " + valkey.URL + "}}\nrouter_settings: {redis_url: " + valkey.URL + "}")
	var gateways []*gateway
	for range 3 {
		g := start(t, config)
		g.showOnFailure(t)
		defer g.stop()
		gateways = append(gateways, g)
	}
	client := manyClients()
	burst := func(name string, clients int) (ok, refused int64) {
		var wg sync.WaitGroup
		var answered, turned atomic.Int64
		for n := range clients {
			wg.Go(func() {
				for try := range 2 {
					switch status, _ := bill(client, gateways[n%3].url, fmt.Sprintf("%s-%d-%d", name, n, try), n%2 == 0); status {
					case 200:
						answered.Add(1)
						return
					case 422:
						turned.Add(1)
					default:
						t.Errorf("client %d of %s got %d", n, name, status)
						return
					}
				}
			})
		}
		wg.Wait()
		return answered.Load(), turned.Load()
	}
	if ok, _ := burst("first", 40); ok != 40 {
		t.Errorf("%d of the first 40 were answered", ok)
	}
	valkey.Kill()
	if status, _ := bill(client, gateways[0].url, "without", false); status != 503 {
		t.Errorf("without Redis a call got %d", status)
	}
	valkey.Restart()
	waitFor(t, func() bool { status, _ := bill(client, gateways[1].url, "back", false); return status == 200 })
	ok, refused := burst("second", 160)
	spent := money.Amount(b.total.Load())
	t.Logf("%d answered, %d times refused, %s spent", ok, refused, spent)
	if spent > money.Dollar || spent < 98*money.Cent {
		t.Errorf("spent %s of 1", spent)
	}
	for _, g := range gateways {
		g.terminate(t)
	}
	var sum money.Amount
	for _, of := range rows(t, store.Options{URL: pg.URL}) {
		for _, r := range of {
			sum += r.Spend
		}
	}
	if want := money.Amount(b.total.Load()); sum != want {
		t.Errorf("the ledger has %s, the providers billed %s", sum, want)
	}
}

// TestDiskFull: the journal's disk takes no more. Calls are refused, not unbilled; when there is room, all goes on.
func TestDiskFull(t *testing.T) {
	b := newBiller(t, 0)
	data := testtools.Dir(t)
	g := start(t, b.config("  max_budget: 1000"), "--data-dir", data)
	defer g.stop()
	client := manyClients()
	if status, _ := bill(client, g.url, "before", false); status != 200 {
		t.Fatalf("before: %d", status)
	}
	// A limit on the size of files fails writes as a full disk does.
	var old unix.Rlimit
	limit := unix.Rlimit{Cur: 1, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(g.pid, unix.RLIMIT_FSIZE, &limit, &old); err != nil {
		t.Skip("no limit can be set: ", err)
	}
	served := b.total.Load()
	status, header := bill(client, g.url, "full", false)
	if status != 503 || header.Get("retry-after") == "" || b.total.Load() != served {
		t.Errorf("on a full disk a call got %d, and the provider billed %d", status, b.total.Load()-served)
	}
	if metrics := scrape(t, g); !strings.Contains(metrics, "sluice_spend_journal_writable 0") {
		t.Error("the metrics do not tell")
	}
	if err := unix.Prlimit(g.pid, unix.RLIMIT_FSIZE, &old, nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { status, _ := bill(client, g.url, "after", false); return status == 200 })
	if !strings.Contains(g.log.since(0), "the spend journal cannot be written") {
		t.Error("the log does not tell")
	}
	g.terminate(t)
	all := rows(t, store.Options{Path: filepath.Join(data, "sluice.db")})
	if len(all["before"]) != 1 || len(all["full"]) != 0 || len(all["after"]) != 1 {
		t.Errorf("rows: %v", all)
	}
}

func scrape(t testing.TB, g *gateway) string {
	t.Helper()
	res, err := http.Get(g.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWhatAttemptsCost goes through the ways in which an attempt ends. The prompt is 27 bytes of messages, about 8 tokens;
// a token costs $0.0001.
func TestWhatAttemptsCost(t *testing.T) {
	if testing.Short() {
		t.Skip("a start for each")
	}
	p, err := provider.Listen("127.0.0.1:0", provider.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	usage := provider.Usage{Input: 10, Output: 20}
	ok := provider.Chat("x", "hello", usage)
	stream := provider.ChatStream("x", usage, "12345678", "12345678")
	failed := provider.Error(503, "x", "x", "busy")
	limited := provider.Error(429, "x", "x", "slow down")
	const prompt, answer = 8, 30
	for _, tt := range []struct {
		name    string
		replies []provider.Reply
		more    string // fields of the request
		leave   bool   // the client leaves after the first bytes
		tokens  []int64
		flags   string // e: estimated, f: failed, a row each
	}{
		{"ok", []provider.Reply{ok}, "", false, []int64{answer}, "-"},
		{"stream", []provider.Reply{stream}, `,"stream":true`, false, []int64{answer}, "-"},
		{"bad request", []provider.Reply{provider.Error(400, "invalid_request_error", "x", "no")}, "", false, []int64{0}, "f"},
		{"fails, then answers", []provider.Reply{failed, ok}, "", false, []int64{prompt, answer}, "ef -"},
		{"limited, then answers", []provider.Reply{limited, ok}, "", false, []int64{0, answer}, "f -"},
		{"fails three times", []provider.Reply{failed, failed, failed}, "", false, []int64{prompt, prompt, prompt}, "ef ef ef"},
		{"times out", []provider.Reply{ok.After(time.Minute)}, `,"timeout":0.3,"num_retries":0`, false, []int64{prompt}, "ef"},
		{"is reset", []provider.Reply{provider.NoAnswer(provider.Reset)}, `,"num_retries":0`, false, []int64{prompt}, "ef"},
		{"is cut", []provider.Reply{stream.Every(200*time.Millisecond).CutAfter(3, provider.Close)}, `,"stream":true`, false, nil, "ef"},
		{"has no usage", []provider.Reply{provider.JSON(200, `{"id":"x","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"12345678"},"finish_reason":"stop"}]}`)}, "", false, []int64{prompt + 2}, "e"},
		{"client leaves a stream", []provider.Reply{stream.Every(10 * time.Second)}, `,"stream":true`, true, nil, "ef"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p.Reset()
			p.Always(tt.replies...)
			data := testtools.Dir(t)
			g := start(t, fmt.Sprintf(`
model_list:
  - model_name: m
    litellm_params: {model: openai/x, api_base: %s/v1, api_key: %s, input_cost_per_token: 0.0001, output_cost_per_token: 0.0001}
general_settings: {master_key: %s, max_budget: 100}
router_settings: {disable_cooldowns: true}
`, p.URL, providerKey, masterKey), "--data-dir", data)
			g.showOnFailure(t)
			defer g.stop()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			body := `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":50` + tt.more + `}`
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, g.url+completions, strings.NewReader(body))
			req.Header.Set("authorization", "Bearer "+masterKey)
			req.Header.Set("x-litellm-call-id", "call")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if tt.leave {
				_, _ = res.Body.Read(make([]byte, 64))
				leave()
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			waitFor(t, func() bool { return strings.Contains(scrape(t, g), "sluice_spend_journal_calls 0\n") })
			g.terminate(t)
			var tokens []int64
			var flags []string
			of := rows(t, store.Options{Path: filepath.Join(data, "sluice.db")})["call"]
			for n := 1; n <= len(of); n++ {
				for _, r := range of {
					if r.Attempt != n {
						continue
					}
					tokens = append(tokens, r.Tokens())
					if r.Spend != money.Amount(r.Tokens())*tokenPrice {
						t.Errorf("attempt %d: %d tokens cost %s", n, r.Tokens(), r.Spend)
					}
					flag := ""
					if r.Estimated {
						flag += "e"
					}
					if r.Failure != "" {
						flag += "f"
					}
					flags = append(flags, flag)
				}
			}
			got := strings.ReplaceAll(strings.Join(flags, " "), " ", " ")
			want := strings.ReplaceAll(tt.flags, "-", "")
			if tt.tokens != nil && !slices.Equal(tokens, tt.tokens) || got != want {
				t.Errorf("tokens %v, %q; want %v, %q", tokens, got, tt.tokens, want)
			}
			if tt.tokens == nil && (len(tokens) != 1 || tokens[0] < prompt || !tt.leave && tokens[0] == prompt || tokens[0] >= answer) {
				t.Errorf("tokens %v", tokens)
			}
		})
	}
}
