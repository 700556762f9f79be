package provider

import "strings"

// Match picks requests; an empty field matches any.
type Match struct {
	// Path is the URL's path, or its beginning when it ends in *.
	Path string `json:"path,omitempty"`
	// Model is the body's "model".
	Model string `json:"model,omitempty"`
	// Key is the API key: a bearer token, or x-api-key, api-key, x-goog-api-key, or the parameter key.
	Key string `json:"key,omitempty"`
}

func (m Match) matches(r *Request) bool {
	if prefix, ok := strings.CutSuffix(m.Path, "*"); ok {
		if !strings.HasPrefix(r.Path, prefix) {
			return false
		}
	} else if m.Path != "" && m.Path != r.Path {
		return false
	}
	return (m.Model == "" || m.Model == r.Model) && (m.Key == "" || m.Key == r.Key)
}

// rule is a match and what is left of its replies.
type rule struct {
	match   Match
	replies []Reply
}

// On answers the requests that m matches with replies in turn; the last one repeats. Of several rules
// that match, the one made last is used. Without replies, the rule hands back to the defaults.
func (s *Server) On(m Match, replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, &rule{m, replies})
}

// Always is On for every request.
func (s *Server) Always(replies ...Reply) { s.On(Match{}, replies...) }

// Reset forgets all rules and recorded requests.
func (s *Server) Reset() {
	s.mu.Lock()
	s.rules = nil
	s.mu.Unlock()
	s.record.clear()
}

// choose takes the next reply for r.
func (s *Server) choose(r *Request) Reply {
	s.mu.Lock()
	for i := len(s.rules) - 1; i >= 0; i-- {
		rule := s.rules[i]
		if !rule.match.matches(r) {
			continue
		}
		if len(rule.replies) == 0 {
			break
		}
		reply := rule.replies[0]
		if len(rule.replies) > 1 {
			rule.replies = rule.replies[1:]
		}
		s.mu.Unlock()
		return reply
	}
	s.mu.Unlock()
	return s.defaults.reply(r)
}
