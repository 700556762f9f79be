package extproc

import (
	"time"

	"github.com/sluicegw/sluice/envoy/names"
)

// patience is the limit in time above which nobody has chosen one: LiteLLM's default is 6000 s.
const patience = time.Hour

// watched says which good answers of the call are held back. Every failure with a status of 400 or more is
// judged in any case; a good answer is held only where there is somewhere to go, for that is not free (and Envoy
// 1.40 may fall over a body of megabytes that it streams so): where a refusal of content has fallbacks, all of
// them; streams with a stream_timeout, up to their first event; other answers with a limit in time, by Envoy alone.
func (c *Call) watched(longest time.Duration) string {
	switch {
	case c.plan.Longest() < 2:
		return ""
	case c.plan.OnContent() && answersInText(c.op):
		return names.WatchAnswer
	case c.request.Stream():
		if c.firstEventLimited() {
			return names.WatchAnswer
		}
		return ""
	case longest <= 0 || longest >= patience:
		return ""
	}
	return names.WatchWhole
}

// firstEventLimited tells whether somebody has set a stream_timeout for an attempt that may be made.
func (c *Call) firstEventLimited() bool {
	for i := range c.plan.Len() {
		if c.plan.At(i).FirstEvent {
			return true
		}
	}
	return false
}
