package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

// Storage is where keys, teams, users and models are kept.
type Storage struct {
	Objects   *store.Objects
	Directory *keys.Directory
	// Sync returns when everything that is committed is in Directory.
	Sync func(context.Context) error
	// Spent is what a scope has spent, by the kinds and ids of package keys; false: nobody counts. nil: nobody does.
	Spent func(kind, id string) (money.Amount, bool)
	// SetSpent makes the amount that a scope has spent another; nil: only the document is changed.
	SetSpent func(ctx context.Context, kind, id string, to money.Amount) error
	// Calendar tells when budgets begin anew; nil: at midnight, UTC.
	Calendar func() budget.Calendar
	// Models are what there is to do with models at run time; nil: they cannot be changed.
	Models *ModelStore
}

// call is one request to the admin API.
type call struct {
	s    *Server
	r    *http.Request
	ctx  context.Context
	snap *Snapshot
	key  *keys.Key
	body document
	path string // as LiteLLM names the route in errors
	now  time.Time
	// headers are more of the answer's.
	headers map[string]string
}

func (c *call) header(name, value string) {
	if c.headers == nil {
		c.headers = map[string]string{}
	}
	c.headers[name] = value
}

// refusal is LiteLLM's HTTPException: a status and a detail, which routes render in one of two ways.
type refusal struct {
	status int
	detail any  // a text, or an object with one under "error"
	plain  bool // always FastAPI's way
}

func (r *refusal) Error() string { return python(r.detail) }

// refuse is a refusal as LiteLLM mostly writes them: {"error": "…"}.
func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, detail: document{"error": fmt.Sprintf(format, args...)}}
}

// say is a refusal whose detail is the text.
func say(status int, format string, args ...any) *refusal {
	return &refusal{status: status, detail: fmt.Sprintf(format, args...)}
}

// problem is LiteLLM's ProxyException, which is OpenAI's error on every route.
func problem(status int, typ, param, format string, args ...any) *apierror.Error {
	return &apierror.Error{Kind: apierror.KindFor(status), Status: status, Type: typ, Param: param, Message: fmt.Sprintf(format, args...)}
}

// style is how a route renders a refusal.
type style struct {
	typ   string // of OpenAI's error; empty: FastAPI's {"detail": …}
	param string
}

var (
	proxied  = style{typ: "internal_server_error"}     // handle_exception_on_proxy
	asAuth   = style{typ: "auth_error", param: "None"} // the older handlers
	detailed = style{}                                 // no handler: FastAPI's own
)

// action does what a route is for. Its error is a *refusal or an *apierror.Error.
type action func(*call) (any, error)

// route is one of the admin API.
type route struct {
	method, path string // a path may have one {part}
	model        string // of the request's body; empty: there is none
	access       access
	style        style
	do           action
}

// manage makes handlers of routes.
func (s *Server) manage(rt route) handler {
	return func(w http.ResponseWriter, r *http.Request) *apierror.Error {
		snap, key, err := s.authenticate(r)
		if err != nil {
			return err
		}
		c := &call{s: s, r: r, ctx: r.Context(), snap: snap, key: key, path: strings.TrimSuffix(r.URL.Path, "/"), now: time.Now().UTC()}
		if fault := c.may(rt); fault != nil {
			return fault
		}
		out, fault := c.run(rt)
		if fault != nil {
			return rt.style.render(w, fault)
		}
		for name, value := range c.headers {
			w.Header().Set(name, value)
		}
		if write, ok := out.(stream); ok {
			return c.export(w, write)
		}
		return answer(w, http.StatusOK, out)
	}
}

func (c *call) run(rt route) (any, error) {
	if c.s.o.Storage == nil {
		return nil, problem(http.StatusBadRequest, "no_db_connection", "", "No connected db.")
	}
	if !c.s.o.Storage.Directory.Loaded() {
		return nil, away()
	}
	if rt.model != "" {
		body, fault := readBody(c.r, rt.model)
		if fault != nil {
			return nil, fault
		}
		c.body = body
		if fault := c.viewerUpdates(rt); fault != nil {
			return nil, fault
		}
	}
	return rt.do(c)
}

// away is the answer while the database cannot be used.
func away() *apierror.Error {
	e := problem(http.StatusServiceUnavailable, "no_db_connection", "None", "The database cannot be reached; try again.")
	e.RetryAfter = time.Second
	return e
}

func (st style) render(w http.ResponseWriter, err error) *apierror.Error {
	if e, ok := errors.AsType[*apierror.Error](err); ok {
		return e
	}
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return problem(http.StatusInternalServerError, "internal_server_error", "", "%s", err)
	}
	if st.typ == "" || r.plain {
		return answer(w, r.status, document{"detail": r.detail})
	}
	return &apierror.Error{Kind: apierror.KindFor(r.status), Status: r.status, Type: st.typ, Param: st.param, Message: python(r.detail)}
}

// python writes a detail as str() does: LiteLLM's messages have it so.
func python(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case document:
		for name, value := range v { // they have one member
			s, _ := value.(string)
			quote := "'"
			if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
				quote = `"`
			} else {
				s = strings.ReplaceAll(s, "'", `\'`)
			}
			return "{'" + name + "': " + quote + s + quote + "}"
		}
	}
	return fmt.Sprint(v)
}

// change writes objects, all or nothing, and returns once this process knows of it.
func (c *call) change(f func(change) error) error {
	st := c.s.o.Storage
	_, err := st.Objects.Change(c.ctx, func(ch *store.Change) error { return f(change{ch}) })
	switch {
	case err == nil:
	case store.Outage(err), errors.Is(err, context.DeadlineExceeded):
		return away()
	default:
		return err
	}
	if err := st.Sync(c.ctx); err != nil {
		c.s.o.Log.Warn("a change is stored, but not known here yet", "error", err)
	}
	return nil
}

// change is a change of documents.
type change struct{ *store.Change }

func (ch change) get(kind, id string) (document, bool, error) {
	o, ok, err := ch.Get(kind, id)
	if !ok || err != nil {
		return nil, false, err
	}
	d, err := parse(o.Doc)
	return d, err == nil, err
}

// longestID is the most that an id may have: PostgreSQL's indexes, of the ledger too, take a few of them together.
const longestID = 256

func (ch change) put(kind, id, unique string, d document) error {
	for part := range strings.SplitSeq(id, "\x1f") {
		if len(part) > longestID || !utf8.ValidString(part) || strings.ContainsRune(part, 0) {
			return refuse(400, "An id has at most %d characters of valid text, not %s", longestID, printable(part[:min(len(part), 40)]))
		}
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return ch.Put(store.Object{Kind: kind, ID: id, Unique: unique, Doc: b})
}

func parse(b []byte) (document, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	out := document{}
	err := d.Decode(&out)
	return out, err
}

// find is a document as this process knows it.
func (c *call) find(kind, id string) (document, bool) {
	o, ok := c.s.o.Storage.Directory.Get(kind, id)
	if !ok {
		return nil, false
	}
	return c.open(o), true
}

// open reads a stored object and adds what it has spent.
func (c *call) open(o store.Object) document {
	d, err := parse(o.Doc)
	if err != nil {
		c.s.o.Log.Error("a stored object cannot be read", "kind", o.Kind, "error", err)
		d = document{}
	}
	return c.standing(o.Kind, o.ID, d)
}

// standing puts what a scope has spent, and when it begins anew, into its document: what is stored there is what it had
// spent before the ledger began, and the end of the window of that time.
func (c *call) standing(kind, id string, d document) document {
	if spent := c.s.o.Storage.Spent; spent != nil {
		if amount, known := spent(kind, id); known {
			d["spend"] = json.Number(amount.String())
		}
	}
	if at := keys.ParseTime(text(d, "budget_reset_at")); !at.IsZero() && !at.After(c.now) {
		if w, _, err := budget.ParseWindow(text(d, "budget_duration")); err == nil && !w.IsZero() {
			d["budget_reset_at"] = stamp(c.calendar().End(w, c.now))
		}
	}
	return d
}

// all are the documents of a kind that f wants; nil wants all.
func (c *call) all(kind string, f func(document) bool) []document {
	objects := c.s.o.Storage.Directory.List(kind)
	out := make([]document, 0, min(len(objects), 1024))
	for _, o := range objects {
		if d := c.open(o); f == nil || f(d) {
			out = append(out, d)
		}
	}
	return out
}

// me is the caller's user_id, as LiteLLM writes it into created_by.
func (c *call) me() string {
	if c.key.Hash == keys.MasterHash || c.snap.Keys.Open() {
		return "default_user_id"
	}
	return c.key.UserID
}

// stamp writes a time as LiteLLM's answers have it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func (c *call) touched(d document) {
	by := any(nil)
	if me := c.me(); me != "" {
		by = me
	}
	if !given(d, "created_at") {
		d["created_at"], d["created_by"] = stamp(c.now), by
	}
	d["updated_at"], d["updated_by"] = stamp(c.now), by
}

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

// page reads page and size; out of range is FastAPI's 422.
func (c *call) page(sizeName string, size, most int) (int, int, error) {
	page := 1
	for name, to := range map[string]*int{"page": &page, sizeName: &size} {
		v := c.query(name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || name == sizeName && n > most {
			return 0, 0, &refusal{status: 422, plain: true, detail: []invalid{{"int_parsing", []any{"query", name}, fmt.Sprintf("Input should be a valid integer from 1 to %d", most)}}}
		}
		*to = n
	}
	return page, size, nil
}

// slice is a page of a list.
func slice[T any](list []T, page, size int) (part []T, pages int) {
	pages = (len(list) + size - 1) / size
	if page > pages {
		return []T{}, pages
	}
	return list[(page-1)*size : min(page*size, len(list))], pages
}
