package route

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
