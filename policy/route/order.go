package route

import "github.com/sluicegw/sluice/internal/apierror"

// Order appends the attempts, as indices for [Plan.At], that are made as long as none of them is answered.
func (p *Plan) Order(dst []int) []int {
	for i := range p.nodes {
		if p.nodes[i].granted != nil {
			w := p.Walk()
			return w.Rest(append(dst, w.Attempt()))
		}
	}
	for i := range p.Attempts {
		dst = append(dst, i)
	}
	return dst
}

// After are the attempts that follow if the first is answered by a failure of this kind, and those after it by
// none; nil if such failures have no fallbacks of their own. It is for showing a plan.
func (p *Plan) After(kind apierror.Kind) []int {
	w := p.Walk()
	if !p.own[classOf(kind)] || !w.Fail(kind) {
		return nil
	}
	return w.Rest([]int{w.Attempt()})
}
