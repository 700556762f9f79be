package route

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// LiteLLM's constants for an unset allowed_fails.
const (
	minute         = time.Minute
	failureShare   = 0.5  // DEFAULT_FAILURE_THRESHOLD_PERCENT
	failureMinimum = 5    // DEFAULT_FAILURE_THRESHOLD_MINIMUM_REQUESTS
	singleMinimum  = 1000 // SINGLE_DEPLOYMENT_TRAFFIC_FAILURE_THRESHOLD
	maxRetryAfter  = 10 * time.Minute

	statusNeedsPayment = http.StatusPaymentRequired
)

// cooldownPolicy is what a table says about one deployment's cooldowns.
type cooldownPolicy struct {
	group         string
	single        bool // the only deployment of its group
	wildcard      bool
	cooldown      time.Duration // 0: never
	allowed       *int          // nil: unset
	own           bool          // allowed is the deployment's own
	allowedByKind map[apierror.Kind]int
}

type verdict uint8

const (
	neutral verdict = iota // says nothing about the deployment
	good
	bad
)

// verdict tells what an outcome says about the deployment. A refusal of this one request (400, 403, 413,
// 422 …) is the client's making and says nothing.
func (o *Outcome) verdict(p *cooldownPolicy) verdict {
	if o.Ours {
		return neutral
	}
	switch o.kind() {
	case "":
		return good
	case apierror.RateLimit, apierror.Unauthenticated, apierror.Overloaded,
		apierror.Unavailable, apierror.Internal, apierror.BadReply:
		return bad
	case apierror.NotFound:
		if !p.wildcard {
			return bad
		}
	case apierror.Timeout:
		if !o.ClientTimeout {
			return bad
		}
	case apierror.BudgetExceeded: // the provider's, as a 402
		return bad
	}
	if o.Status == statusNeedsPayment {
		return bad
	}
	return neutral
}

// kind is empty for a success.
func (o *Outcome) kind() apierror.Kind {
	switch {
	case o.Kind != "":
		return o.Kind
	case o.Status == 0:
		return apierror.Unavailable
	case o.Status < 400:
		return ""
	}
	return apierror.KindFor(o.Status)
}

func (o *Outcome) why() string {
	if o.Status == 0 {
		return string(o.kind())
	}
	return strconv.Itoa(o.Status) + " " + string(o.kind())
}

// roll starts a new minute when the current one is over. LiteLLM's minute, too, starts with the first
// report after the last one.
func (e *entry) roll(now time.Duration) {
	if now-e.window >= minute || (e.fails == 0 && e.successes == 0) {
		e.window, e.fails, e.successes = now, 0, 0
	}
}

// succeeded reports whether this is the first good answer after a cooldown.
func (e *entry) succeeded(now time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.roll(now)
	e.successes++
	e.heard, e.last, e.lastOK = true, now, true
	back := e.cooled && time.Duration(e.until.Load()) <= now
	if back {
		e.cooled = false
	}
	return back
}

// failed counts a failure and reports until when the deployment is out, and whether that starts now.
func (e *entry) failed(now time.Duration, p *cooldownPolicy, o *Outcome) (until time.Duration, started bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.roll(now)
	e.fails++
	e.heard, e.last, e.lastOK = true, now, false
	if p.cooldown <= 0 || !p.cools(o, e.fails, e.successes) {
		return 0, false
	}
	before := time.Duration(e.until.Load())
	until = max(before, now+max(p.cooldown, min(o.RetryAfter, maxRetryAfter)))
	e.until.Store(int64(until))
	e.why = "cooling down after " + o.why()
	e.cooled = true
	return until, before <= now
}

// cools decides after a failure that is already counted in fails.
func (p *cooldownPolicy) cools(o *Outcome, fails, successes int) bool {
	status := statusOf(o)
	if p.single && status == statusNeedsPayment {
		return false
	}
	if n, ok := p.allowedByKind[o.kind()]; ok && !p.own {
		return fails > n
	}
	if p.allowed != nil {
		return fails > *p.allowed
	}
	total := fails + successes
	switch {
	case status == http.StatusTooManyRequests:
		return !p.single || (successes == 0 && total >= singleMinimum)
	case status == http.StatusUnauthorized, status == http.StatusNotFound, status == statusNeedsPayment:
		return true
	case successes == 0 && total >= singleMinimum:
		return true
	}
	return !p.single && total >= failureMinimum && float64(fails) > failureShare*float64(total)
}

// statusOf goes by the kind where the two differ: a 200 may hold an error.
func statusOf(o *Outcome) int {
	switch o.kind() {
	case apierror.RateLimit:
		return http.StatusTooManyRequests
	case apierror.Unauthenticated:
		return http.StatusUnauthorized
	case apierror.NotFound:
		return http.StatusNotFound
	}
	return cmp.Or(o.Status, http.StatusInternalServerError)
}
