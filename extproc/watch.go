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
// them; streams with a limit in time, up to their first event; other answers with a limit in time, by Envoy alone.
func (c *Call) watched(longest time.Duration) string {
	switch {
	case c.plan.Longest() < 2:
		return ""
	case c.plan.OnContent() && answersInText(c.op):
		return names.WatchAnswer
	case longest <= 0 || longest >= patience:
		return ""
	case c.request.Stream():
		return names.WatchAnswer
	}
	return names.WatchWhole
}
