package route

import (
	"slices"

	"github.com/sluicegw/sluice/internal/apierror"
)

const (
	// mostNodes bounds the groups of a plan; a Walk keeps those visited in the bits of one word.
	mostNodes = 24
	// mostOthers bounds the attempts that only failures of a kind lead to.
	mostOthers = 32
)

// Override is one of a client's own fallbacks, to which Attempt.Override refers.
type Override struct {
	Model string
	// Own tells that it replaces fields of the request: then the same model may come again.
	Own bool
}

// reasons collects why the deployments of one group were left out.
type reasons struct{ context, other bool }

func (r *reasons) note(told *apierror.Error) {
	if told != nil && told.Kind == apierror.ContextLength {
		r.context = true
		return
	}
	r.other = true
}

// kind is how a group without a usable deployment counts as failed: all too small for the prompt, which
// LiteLLM's pre-call checks answer with the fallbacks for that, or anything else.
func (r reasons) kind() apierror.Kind {
	if r.context && !r.other {
		return apierror.ContextLength
	}
	return apierror.Unavailable
}

// grow makes the plan's groups: the first one, what follows it while attempts fail for ordinary reasons, and
// then what failures of a kind lead to.
func (p *planner) grow(primary target, known bool) {
	if p.ask.Fallbacks == nil {
		s, own := &p.table.settings, &p.ask.Lists
		p.plan.own[context] = own.Context != nil || len(s.ContextFallbacks) > 0
		p.plan.own[policy] = own.Policy != nil || len(s.PolicyFallbacks) > 0
	}
	switch {
	case known && p.ask.Pretend != "":
		p.plan.nodes = append(p.plan.nodes, node{to: primary, empty: p.ask.Pretend})
		p.refusal = pretended(p.ask)
	case known:
		p.node(primary, 0)
	default: // LiteLLM sends a model that nobody has to the default fallbacks
		p.plan.nodes = append(p.plan.nodes, node{empty: apierror.Unavailable})
	}
	if p.ask.Fallbacks != nil {
		p.ownFallbacks()
	} else {
		p.follow(0, p.firstClass(0), true)
		if p.plan.own[context] || p.plan.own[policy] {
			p.branch()
		}
	}
	// As in LiteLLM, a filtered answer is a failure for the default fallbacks, too, where content has none of its own.
	if !p.plan.own[policy] && len(p.table.settings.PolicyFallbacks) == 0 && len(p.table.settings.Fallbacks[anyGroup]) > 0 {
		p.plan.content = slices.ContainsFunc(p.plan.nodes[0].next[ordinary], func(i uint8) bool { return i != 0 })
	}
}

// firstClass is the class of fallbacks that a group leads to at first: the ordinary, unless it has no attempt
// because the prompt is too long.
func (p *planner) firstClass(i int) class {
	n := &p.plan.nodes[i]
	if of := classOf(n.empty); n.n == 0 && p.plan.own[of] {
		return of
	}
	return ordinary
}

// node makes a group's attempts.
func (p *planner) node(to target, fallback int) int {
	p.reasons = reasons{}
	first := len(p.plan.Attempts)
	base := p.visit(to, fallback)
	n := node{to: to, first: first, n: len(p.plan.Attempts) - first, base: base, empty: p.reasons.kind()}
	if p.ask.NumRetries == nil || *p.ask.NumRetries > 0 {
		n.granted = p.table.retryPolicy(to.group.name)
	}
	p.plan.nodes = append(p.plan.nodes, n)
	return len(p.plan.nodes) - 1
}

// follow makes the groups that follow group i in one class; deep: and those that follow them, at first.
func (p *planner) follow(i int, of class, deep bool) {
	p.plan.nodes[i].known[of] = true
	for _, to := range p.list(&p.plan.nodes[i], of) {
		j, known := p.find(to)
		if !known {
			if p.noRoom() {
				return
			}
			if !p.allowed(to) {
				continue
			}
			p.left--
			j = p.node(to, p.plan.most-p.left)
		}
		p.plan.nodes[i].next[of] = append(p.plan.nodes[i].next[of], uint8(j))
		if !known && deep {
			p.follow(j, p.firstClass(j), true)
		}
	}
}

func (p *planner) noRoom() bool {
	return p.left <= 0 || len(p.plan.Attempts) >= p.room || len(p.plan.nodes) >= mostNodes
}

// ownFallbacks are the client's: the list stands alone, for failures of every kind, and nothing follows from
// it.
func (p *planner) ownFallbacks() {
	for i, own := range p.ask.Fallbacks {
		if p.noRoom() {
			return
		}
		to, ok := p.table.ask(own.Model)
		if !ok {
			p.skip(Skip{Group: own.Model, Reason: "no model group of that name"})
			continue
		}
		if _, again := p.find(to); again && !own.Own || !p.allowed(to) {
			continue
		}
		p.left--
		p.own = i + 1
		j := p.node(to, p.plan.most-p.left)
		p.plan.nodes[0].next[ordinary] = append(p.plan.nodes[0].next[ordinary], uint8(j))
	}
}

// branch makes the groups that only failures of a kind lead to, for each group of the plan.
func (p *planner) branch() {
	count := len(p.plan.Attempts)
	p.room = count + mostOthers
	for i := 0; i < len(p.plan.nodes); i++ {
		for of := range classes {
			if !p.plan.nodes[i].known[of] && (of == ordinary || p.plan.own[of]) {
				p.left = p.plan.most
				p.follow(i, of, false)
			}
		}
		p.plan.content = p.plan.content || len(p.plan.nodes[i].next[policy]) > 0
	}
	all := p.plan.Attempts
	p.plan.Attempts, p.plan.Others = all[:count:count], all[count:]
}

// Lists are fallbacks by model group, for failures of three kinds; "*" is for groups without an entry.
type Lists struct{ Ordinary, Context, Policy map[string][]string }

func (l *Lists) of(c class) map[string][]string {
	return [classes]map[string][]string{l.Ordinary, l.Context, l.Policy}[c]
}

// list are the fallbacks of a group, by class: the client's or the configured ones.
func (p *planner) list(n *node, of class) []target {
	s := &p.table.settings
	own := p.ask.Lists.of(of)
	switch {
	case own != nil && n == &p.plan.nodes[0]:
		return p.asked(lookup(own, p.ask.Group, n.to.name))
	case own != nil:
		return p.asked(lookup(own, n.to.name, n.to.group.name))
	case n.to.group == nil:
		return p.table.targets(p.ask.Group)
	case of == context:
		return p.table.ownTargets(s.ContextFallbacks, n.to)
	case of == policy:
		return p.table.ownTargets(s.PolicyFallbacks, n.to)
	}
	return p.table.following(n.to)
}

// asked are models that a client names itself.
func (p *planner) asked(names []string) (out []target) {
	for _, name := range names {
		if to, ok := p.table.ask(name); ok {
			out = append(out, to)
		} else {
			p.skip(Skip{Group: name, Reason: "no model group of that name"})
		}
	}
	return out
}

func (p *planner) find(to target) (int, bool) {
	i := slices.IndexFunc(p.plan.nodes, func(n node) bool { return n.to.group == to.group && n.to.name == to.name })
	return i, i >= 0
}
