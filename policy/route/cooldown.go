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

// standing is whether a deployment may be used.
type standing uint8

const (
	up       standing = iota
	resting           // until a time
	halfOpen          // its cooldown is over: one call may try it
	tried             // one does
)

// standing is where the deployment stands, and until when if it may not be used.
func (e *entry) standing(now time.Duration) (standing, time.Duration) {
	until := time.Duration(e.until.Load())
	switch {
	case until == 0:
		return up, 0
	case until > now:
		return resting, until
	case time.Duration(e.probe.Load()) > now:
		return tried, now + time.Second
	}
	return halfOpen, 0
}

// reason is why a deployment in that standing is left out.
func (e *entry) reason(s standing) string {
	if s == tried {
		return "being tried after a cooldown"
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.why
}

// probeTime is how long a call that tries a deployment keeps others from it. Answers may take minutes; whoever
// has not begun one by then is asked a second time.
const probeTime = 10 * time.Second

// claim takes the place of the one call that tries a half-open deployment.
func (e *entry) claim(now time.Duration) bool {
	before := e.probe.Load()
	return time.Duration(before) <= now && e.probe.CompareAndSwap(before, int64(now+probeTime))
}

// succeeded counts a good answer, and reports whether it is the first after a cooldown.
func (e *entry) succeeded(now time.Duration) (back bool) {
	back = e.returns(now)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.roll(now)
	e.successes++
	e.heard, e.last, e.lastOK = true, now, true
	return back
}

// returns closes a cooldown that is over. Its failures are forgotten, but not how many cooldowns there were.
func (e *entry) returns(now time.Duration) bool {
	until := e.until.Load()
	if until == 0 || time.Duration(until) > now {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.until.CompareAndSwap(until, 0) {
		return false
	}
	e.back, e.fails, e.successes = now, 0, 0
	e.probe.Store(0)
	return true
}

// failed counts a failure and reports until when the deployment is out, and whether that starts now.
func (e *entry) failed(now time.Duration, p *cooldownPolicy, o *Outcome) (until time.Duration, streak int, started bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.roll(now)
	e.fails++
	e.heard, e.last, e.lastOK = true, now, false
	before := time.Duration(e.until.Load())
	reopened := before != 0 && before <= now
	if p.cooldown <= 0 || !reopened && !p.cools(o, e.fails, e.successes) {
		return 0, 0, false
	}
	if before <= now {
		if !reopened && now-e.back > max(minute, e.rested) {
			e.streak = 0 // it had recovered
		}
		e.streak++
		e.rested = backoff(p.cooldown, e.streak)
	}
	until = max(before, now+max(e.rested, min(o.RetryAfter, maxRetryAfter)))
	e.until.Store(int64(until))
	e.probe.Store(0)
	e.why = "cooling down after " + o.why()
	if e.streak > 1 {
		e.why += ", the " + ordinal(e.streak) + " time in a row"
	}
	return until, e.streak, before <= now
}

// backoff doubles a cooldown each time, up to five minutes, or to what is configured if that is longer.
func backoff(cooldown time.Duration, streak int) time.Duration {
	const most = 5 * time.Minute
	for range min(streak-1, 20) {
		cooldown = max(min(2*cooldown, most), cooldown)
	}
	return cooldown
}

func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
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
