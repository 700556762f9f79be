package extproc

import "github.com/sluicegw/sluice/envoy/names"

// watched says which good answers of the call are held back. Every failure with a status of 400 or more is judged
// in any case. Streams are held up to their first event, for many providers answer 200 and then say that they are
// overloaded; where a refusal of content has fallbacks, all answers are; where there is somewhere to go, be it the same
// deployment again, other answers are held by Envoy alone until they are whole, and judged if they look like no answer.
func (c *Call) watched() string {
	switch {
	case c.request.Stream(), c.plan.Longest() > 1 && c.plan.OnContent() && answersInText(c.op):
		return names.WatchAnswer
	case c.plan.Longest() < 2:
		return ""
	}
	return names.WatchWhole
}

// untilWords tells whether a stream is held until it says something, rather than until its first event: what the
// model is asked for may be refused, or a stream that begins and falls silent is to move on.
func (c *Call) untilWords() bool {
	return c.plan.Longest() > 1 && (c.plan.OnContent() || c.firstEventLimited())
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
