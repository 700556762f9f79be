package route

import (
	"github.com/sluicegw/sluice/internal/apierror"
)

// RetryPolicy is how many retries each kind of error gets within its group. "" is for kinds without an entry
// of their own; a kind that is found nowhere is retried as num_retries says.
//
// https://docs.litellm.ai/docs/routing#advanced-custom-retries-cooldowns-based-on-error-type
type RetryPolicy map[apierror.Kind]int

// For is the number of retries that an error of this kind gets, if the policy says so.
func (p RetryPolicy) For(kind apierror.Kind) (retries int, ok bool) {
	if len(p) == 0 {
		return 0, false
	}
	if retries, ok = p[kind]; !ok {
		retries, ok = p[""]
	}
	return retries, ok
}

func (p RetryPolicy) most() int {
	most := 0
	for _, n := range p {
		most = max(most, n)
	}
	return most
}

func (t *Table) retryPolicy(group string) RetryPolicy {
	if own, ok := t.settings.GroupRetryPolicy[group]; ok {
		return own
	}
	return t.settings.RetryPolicy
}

// grantedAttempts is the most that any kind of error gets in a group; 0: no policy says. A client that wants no
// retries gets none.
func (p *planner) grantedAttempts(to target) int {
	most := p.table.retryPolicy(to.group.name).most()
	if most == 0 || p.ask.NumRetries != nil && *p.ask.NumRetries == 0 {
		return 0
	}
	return min(1+most, maxAttempts)
}

// ownTargets are a group's fallbacks in lists for one kind of failure, which have no default entry unless
// one is written.
func (t *Table) ownTargets(lists map[string][]string, of target) []target {
	var out []target
	for _, name := range lookup(lists, of.name, of.group.name) {
		if to, ok := t.fallbackTarget(name); ok {
			out = append(out, to)
		}
	}
	return out
}
