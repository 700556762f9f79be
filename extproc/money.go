package extproc

import (
	"errors"
	"strconv"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/adapters/tokens"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/spend"
)

// purse is the money of a call: what it may cost, what it holds, and what it did cost.
type purse struct {
	entry   *spend.Entry // nil: spend is not tracked, or the call was refused
	limits  []budget.Limit
	row     ledger.Row // what all attempts' rows have in common
	input   int64      // the most tokens that the prompt can have
	guess   int64      // about how many it has
	beside  adapters.Beside
	cost    money.Amount
	priced  bool  // cost is known
	clamped int64 // the answer's length that the budget has room for; 0: as asked
	tries   tries
}

// Limits of what a call writes down about itself.
const (
	longestName = 256
	// assumedOutput bounds an answer whose model's limit nobody knows.
	assumedOutput = 16384
	// leastUnasked is the length of an answer, in tokens, that is of use to a client that named none.
	leastUnasked = 256
)

// reserveMoney holds what the call may cost on all its budgets, and writes it down. The request may come out of it with
// a smaller limit on its answer.
func (c *Call) reserveMoney() *apierror.Error {
	book := c.server.Book
	if book == nil {
		return nil
	}
	p := &c.purse
	p.tries.id = newID()
	p.input, p.guess = c.request.InputBound(), c.request.InputEstimate()
	p.beside = c.request.Beside()
	p.row = c.commonRow()
	p.limits = c.budgets()
	for _, r := range c.changed {
		if r != nil {
			p.input = max(p.input, r.InputBound())
			p.beside = p.beside.Or(r.Beside())
		}
	}
	asked, named := c.outputAsked()
	choices := c.request.Choices()
	least := min(asked, leastUnasked)
	if named {
		least = max(1, asked/4)
	}
	a := spend.Ask{Row: p.row, Limits: p.limits, Patient: named}
	c.fill(&a.Row, 1)
	a.Row.Prompt = p.guess
	a.Want = c.dearest(p.input, asked*choices)
	a.Least = min(a.Want, c.dearest(p.input, least*choices))
	if hasMax(p.limits) {
		a.Tighter = func() (want, leastWant money.Amount) {
			p.input = min(p.input, c.countedInput())
			want = c.dearest(p.input, asked*choices)
			return want, min(want, c.dearest(p.input, least*choices))
		}
	}
	entry, refusal := book.Open(c.ctx, &a)
	if refusal != nil {
		return c.noMoney(refusal)
	}
	p.entry = entry
	limited := a.Want > 0 && hasMax(p.limits)
	if held := entry.Amount(a.Want); held < a.Want {
		p.clamped = c.affordable(held, choices, asked)
	} else if limited && asked > 0 && !named && c.unbounded() {
		p.clamped = asked // nothing but the reservation bounds it
	}
	if p.clamped > 0 {
		return c.clamp(p.clamped)
	}
	return nil
}

// countedInput is the most tokens that the prompt can have, by a tokenizer: another model's may make a few more.
func (c *Call) countedInput() int64 {
	most := int64(0)
	counter := tokens.For(c.deployment(1).Target.Model())
	count := func(r *adapters.Request) {
		n := int64(0)
		for _, name := range [...]string{"messages", "prompt", "input"} {
			if field := jsondoc.Value(r.Field(name)); name == "messages" && field.IsArray() {
				n += int64(counter.Chat(field, jsondoc.Value(r.Field("tools")), ""))
			} else if field.Exists() {
				n += int64(counter.Text(string(field)))
			}
		}
		most = max(most, n+n/8+16+r.InputExtra())
	}
	count(c.request)
	for _, r := range c.changed {
		if r != nil {
			count(r)
		}
	}
	return most
}

func hasMax(limits []budget.Limit) bool {
	for i := range limits {
		if limits[i].Max >= 0 {
			return true
		}
	}
	return false
}

// commonRow is what the rows of all attempts share.
func (c *Call) commonRow() ledger.Row {
	r := ledger.Row{
		RequestID: c.clientID, CallType: callTypes[c.op], Started: time.Now().UTC(), Stream: c.request.Stream(),
		Key: c.key.Hash, KeyAlias: c.key.Alias, Team: c.key.TeamID, User: c.key.UserID, Organization: c.key.OrganizationID,
		Customer: c.customer(), Session: c.sessionID(), Tags: c.allTags(),
	}
	if r.Key == keys.MasterHash {
		r.User = "default_user_id" // LiteLLM's name of whoever has the master key
	}
	return r
}

var callTypes = map[adapters.Op]string{adapters.Chat: "acompletion", adapters.Completion: "atext_completion", adapters.Embedding: "aembedding", adapters.Rerank: "arerank"}

// fill adds what is attempt n's own.
func (c *Call) fill(r *ledger.Row, n int) {
	a, d := c.attempt(n), c.deployment(n)
	r.ID, r.Attempt = c.purse.tries.id+"-"+strconv.Itoa(n), n
	r.Group, r.Deployment, r.Provider, r.APIBase = a.Model, d.ID, d.Target.Provider(), d.APIBase
	r.Model = a.Expand(d.Target.Model())
}

// customer is the end user that a call is made for
// (https://docs.litellm.ai/docs/proxy/customers).
func (c *Call) customer() string {
	for _, name := range [...]string{"x-litellm-customer-id", "x-litellm-end-user-id"} {
		if v := c.headers.Get(name); v != "" {
			return clip(v)
		}
	}
	if v := jsondoc.Value(c.request.Field("user")); v.IsString() {
		return clip(v.Text())
	}
	return clip(jsondoc.Value(c.request.Field("metadata")).Get("user_id").Text())
}

func (c *Call) sessionID() string {
	if v := c.headers.Get("x-litellm-session-id"); v != "" {
		return clip(v)
	}
	if v := jsondoc.Value(c.request.Field("litellm_session_id")); v.IsString() {
		return clip(v.Text())
	}
	return clip(jsondoc.Value(c.request.Field("metadata")).Get("session_id").Text())
}

func clip(s string) string {
	if len(s) > longestName {
		return s[:longestName]
	}
	return s
}

// noMoney is the answer to a call that may not spend.
func (c *Call) noMoney(r *spend.Refusal) *apierror.Error {
	switch {
	case r.Exceeded != nil:
		e := apierror.New(apierror.BudgetExceeded, c.snapshot.Budgets.status(), "%s", r.Exceeded.Message())
		e.Type = "budget_exceeded"
		return e
	case r.Journal != nil:
		e := apierror.New(apierror.Overloaded, 503,
			"sluice cannot write down what this call would cost, so it does not make it. Its operator's log says why.")
		e.RetryAfter = time.Second
		return e
	}
	if errors.Is(r.Database, budget.ErrUnreachable) {
		e := apierror.New(apierror.Overloaded, 503, "The store of shared budgets cannot be reached, so it is not known what may be spent. Try again.")
		e.RetryAfter = time.Second
		return e
	}
	c.server.Log.Warn("a call was refused because what was spent could not be read", "call", c.clientID, "error", r.Database)
	e := apierror.New(apierror.Overloaded, 503, "The database cannot be reached, so it is not known what may be spent. Try again.")
	e.Type, e.RetryAfter = "no_db_connection", time.Second
	return e
}

// settleMoney writes down what the call cost. It works once, as early as the cost is known and before the client has the
// last byte.
func (c *Call) settleMoney() {
	p := &c.purse
	if p.entry == nil {
		return
	}
	p.tries.mu.Lock()
	defer p.tries.mu.Unlock()
	if p.tries.settled {
		return
	}
	p.tries.settled = true
	rows := c.endedRows()
	for i := range rows {
		p.cost = p.cost.Plus(rows[i].Spend)
	}
	p.priced = true
	p.entry.Settle(rows)
	if p.tries.sent > 1 || p.tries.over {
		c.server.late.forget(c.id) // unless something is still to come
	}
	if c.server.Spent != nil {
		for i := range rows {
			c.server.Spent(&rows[i])
		}
	}
}

// moneyHeaders are LiteLLM's about what the call cost and what its key has spent
// (https://docs.litellm.ai/docs/proxy/response_headers).
func (c *Call) moneyHeaders(r *wire.Reply) {
	p := &c.purse
	if p.entry == nil {
		return
	}
	if p.priced && c.failure == nil {
		r.SetHeader("x-litellm-response-cost", inDollars(p.cost.Dollars()))
	}
	if p.clamped > 0 {
		r.SetHeader("x-sluice-max-tokens", strconv.FormatInt(p.clamped, 10))
	}
	if c.key == nil || c.key.Hash == "" {
		return
	}
	if spent, known := c.server.Book.Counters().Spent(budget.Scope{Kind: budget.Key, ID: c.key.Hash}); known {
		r.SetHeader("x-litellm-key-spend", inDollars(spent.Dollars()))
	}
	if limit := c.key.Budget.Max; limit != nil {
		r.SetHeader("x-litellm-key-max-budget", inDollars(limit.Dollars()))
	}
}
