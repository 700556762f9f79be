package extproc

import (
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/route"
)

// prices are those of the model that an attempt asks for; nil: nobody knows any.
func (c *Call) prices(a *route.Attempt) *catalog.Prices {
	d := c.snapshot.Deployments[a.Deployment.ID]
	if d.Prices == nil {
		return nil
	}
	return d.Prices.For(a.Expand(d.Target.Model()), "")
}

// longest is the longest answer that the model of an attempt gives, in tokens; 0: nobody knows.
func (c *Call) longest(a *route.Attempt) int64 {
	d := c.snapshot.Deployments[a.Deployment.ID]
	if d.Prices == nil {
		return 0
	}
	if n := d.Prices.Info().MaxOutputTokens; n > 0 || a.Wildcard == "" {
		return n
	}
	info, _ := catalog.Lookup(d.Target.Provider(), a.Expand(d.Target.Model()))
	return info.MaxOutputTokens
}

// dearestCall is more than any call costs, and little enough for a shared store to count many of it exactly: Redis'
// scripts calculate in floating-point numbers.
const dearestCall = 1_000_000 * money.Dollar

// bound is the most that an attempt can cost with that many tokens, whichever of them a cache takes or gives.
func (c *Call) bound(a *route.Attempt, input, output int64) money.Amount {
	p := c.prices(a)
	if p == nil || !p.Known() {
		return 0
	}
	t := catalog.Tokens{Prompt: input, Completion: output, Queries: c.request.Queries(), Tier: c.tier()}
	t.Searches = max(c.purse.beside.Searches, p.Unasked)
	t.Lookups = c.purse.beside.Searches
	plain, _ := p.Cost(t)
	t.CacheWrite, t.CacheWriteHour = input, input
	written, _ := p.Cost(t)
	t.CacheWrite, t.CacheWriteHour, t.Reasoning = 0, 0, output
	reasoned, _ := p.Cost(t)
	most := max(plain, written, reasoned)
	t.Reasoning, t.CompletionImage = 0, output // only models that draw have a price for it
	beside := &c.purse.beside
	if beside.Seen {
		t.PromptImage = input
	}
	drawn, _ := p.Cost(t)
	if most = max(most, drawn); beside.Heard || beside.Spoken {
		t.PromptImage, t.CompletionImage, t.PromptAudio = 0, 0, input
		if beside.Spoken {
			t.CompletionAudio = output
		}
		heard, _ := p.Cost(t)
		most = max(most, heard)
	}
	return min(most, dearestCall)
}

// tier is the service that the client asks for; of those that have one, the dearest where it leaves the choice.
func (c *Call) tier() catalog.ServiceTier {
	return catalog.TierOf(jsondoc.Value(c.request.Field("service_tier")).Text())
}

// dearest is the most that any attempt of the plan can cost.
func (c *Call) dearest(input, output int64) (most money.Amount) {
	for i := range c.plan.Len() {
		a := c.plan.At(i)
		if i == 0 || a.Deployment != c.plan.At(i-1).Deployment {
			most = max(most, c.bound(a, input, output))
		}
	}
	return most
}

// outputAsked is the most tokens that the answer may have, a choice; named: the client said so.
func (c *Call) outputAsked() (tokens int64, named bool) {
	if !answersInText(c.op) {
		return 0, false
	}
	n, named := c.request.MaxTokens()
	for _, r := range c.changed {
		if r == nil {
			continue
		}
		own, ok := r.MaxTokens()
		n, named = max(n, own), named && ok
	}
	if named {
		return n, true
	}
	for i := range c.plan.Len() {
		most := c.longest(c.plan.At(i))
		if most == 0 {
			most = assumedOutput
		}
		tokens = max(tokens, n, most)
	}
	return tokens, false
}

// unbounded tells whether some attempt's model has no limit that anybody knows.
func (c *Call) unbounded() bool {
	for i := range c.plan.Len() {
		if c.longest(c.plan.At(i)) == 0 {
			return true
		}
	}
	return false
}

// clamp makes the answer to the request, and to those of the client's own fallbacks, no longer than that.
func (c *Call) clamp(tokens int64) *apierror.Error {
	shorter := func(r *adapters.Request) (*adapters.Request, *apierror.Error) {
		if n, ok := r.MaxTokens(); ok && n <= tokens {
			return r, nil
		}
		return r.WithMaxTokens(tokens)
	}
	var err *apierror.Error
	if c.request, err = shorter(c.request); err != nil {
		return err
	}
	for i, r := range c.changed {
		if r != nil {
			if c.changed[i], err = shorter(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// affordable is the longest answer, a choice, that no attempt of the plan makes dearer than what is held.
func (c *Call) affordable(held money.Amount, choices, asked int64) int64 {
	low, high := int64(1), asked
	for low < high {
		middle := (low + high + 1) / 2
		if c.dearest(c.purse.input, middle*choices) <= held {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// endedRows are the rows of the attempts that were sent, when the call has ended however it did. The caller holds
// the lock of tries.
func (c *Call) endedRows() []ledger.Row {
	t := &c.purse.tries
	last := t.sent
	unsent := c.answering > t.sent || t.over || c.way.withdrew()
	if unsent {
		last++ // the next was not sent any more, or there was none
	} else if c.answering > 0 {
		last = c.answering
	}
	var rows []ledger.Row
	for n := 1; n < last; n++ {
		if row, known := c.failedRow(n); known || !c.server.late.add(c, n, row) {
			rows = append(rows, row)
		}
	}
	if unsent || last == 0 || c.unreached {
		return rows
	}
	return append(rows, c.lastRow(last))
}

// lastRow is the row of the attempt that answered, or was under way when the call ended.
func (c *Call) lastRow(n int) ledger.Row {
	r := c.purse.row
	c.fill(&r, n)
	r.Ended, r.Status = time.Now().UTC(), 200
	if !c.firstByte.IsZero() && r.Stream {
		r.FirstToken = c.firstByte.UTC()
	}
	if n > 1 {
		if began := c.purse.tries.attempts()[n].began; !began.IsZero() {
			r.Started = began
		}
	}
	var produced int64
	var usage adapters.Usage
	var reported bool
	if c.reply != nil {
		usage, reported = c.reply.Usage()
		produced = c.reply.Produced()
	}
	whole := c.failure == nil && c.delivered()
	switch {
	case c.failure != nil:
		r.Status, r.Failure = c.failure.Status, string(c.failure.Kind)
	case !whole:
		r.Status, r.Failure = statusClientLeft, string(apierror.Cancelled)
	}
	switch {
	case reported && !usage.Partial && (whole || usage.Completion > 0):
		c.take(&r, usage)
	case reported: // the prompt's counts hold
		usage.Completion = max(usage.Completion, adapters.OutputEstimate(produced))
		c.take(&r, usage)
		r.Estimated = true
	case produced == 0 && c.free():
		return r
	default:
		r.Prompt, r.Estimated = c.purse.guess, true
		if answersInText(c.op) {
			r.Completion = adapters.OutputEstimate(produced)
		}
	}
	c.price(&r, n, usage, c.reply)
	return r
}

func (c *Call) take(r *ledger.Row, u adapters.Usage) {
	r.Prompt, r.Completion = u.Prompt, u.Completion
	r.CachedRead, r.CacheWrite, r.Reasoning = u.CachedRead, u.CacheWrite, u.Reasoning
}

// price is what the row's tokens cost, by the model that answered, if one did.
func (c *Call) price(r *ledger.Row, n int, u adapters.Usage, answer *adapters.Reply) {
	prices := c.snapshot.Deployments[c.attempt(n).Deployment.ID].Prices
	if prices == nil {
		return
	}
	if u.Cost > 0 && !u.Partial && !prices.Fixed() {
		r.Spend = min(money.FromDollars(u.Cost), dearestCall)
		return
	}
	t := u.Tokens("")
	t.Prompt, t.Completion = r.Prompt, r.Completion
	t.Seconds = r.Ended.Sub(r.Started).Seconds()
	model := ""
	if answer != nil {
		model = answer.Model()
		t.Tier = catalog.TierOf(answer.ServiceTier())
	}
	r.Spend, _ = prices.For(r.Model, model).Cost(t)
	r.Spend = min(r.Spend, dearestCall) // a provider may write any number, and a few rows must not overflow a sum
}

// free tells whether the attempt that failed last is one that providers do not bill.
func (c *Call) free() bool {
	return c.failure != nil && freeOf(c.failure.Status, c.failure.Kind, c.upstreamFailed)
}

// freeOf tells what providers do not bill: a refusal (4xx) costs nothing; a timeout, a reset and a 5xx may have cost
// the prompt. answered: the status is the provider's own.
func freeOf(status int, kind apierror.Kind, answered bool) bool {
	if kind == apierror.Timeout && !answered {
		return false
	}
	return status < 500
}
