package extproc

import (
	"time"

	"github.com/sluicegw/sluice/envoy/names"
)

// patience is the limit in time above which nobody has chosen one: LiteLLM's default is 6000 s.
const patience = time.Hour

// watched says which good answers of the call are held back. Every failure with a status of 400 or more is
// judged in any case. Streams are held up to the first event that says something, for one that fails there has
// the status of its error, and may have somewhere else to go. Other answers are held only where there is, for
// that is not free: where a refusal of content has fallbacks, all of them; with a limit in time, by Envoy alone.
func (c *Call) watched(longest time.Duration) string {
	switch {
	case c.request.Stream():
		return names.WatchAnswer
	case c.plan.Longest() < 2:
		return ""
	case c.plan.OnContent() && answersInText(c.op):
		return names.WatchAnswer
	case longest <= 0 || longest >= patience:
		return ""
	}
	return names.WatchWhole
}
