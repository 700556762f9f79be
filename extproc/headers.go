package extproc

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// clientHeaders are a client's request headers, of which the listener's allow-list has left those that
// sluice reads.
type clientHeaders []*corev3.HeaderValue

// get is the value of a header, "" without one. name is in lower case.
func (h clientHeaders) get(name string) string { return headerIn(h, name) }

// path is the request's path without its query.
func (h clientHeaders) path() string {
	path, _, _ := strings.Cut(headerIn(h, ":path"), "?")
	return path
}

func headerIn(list []*corev3.HeaderValue, name string) string {
	for _, h := range list {
		if h.GetKey() == name {
			if raw := h.GetRawValue(); len(raw) > 0 {
				return string(raw)
			}
			return h.GetValue()
		}
	}
	return ""
}

// headerSet collects the header changes of one reply.
type headerSet struct{ m extprocv3.HeaderMutation }

func (s *headerSet) set(name, value string) {
	s.m.SetHeaders = append(s.m.SetHeaders, &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, RawValue: []byte(value)},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	})
}

func (s *headerSet) remove(name ...string) {
	s.m.RemoveHeaders = append(s.m.RemoveHeaders, name...)
}

func (s *headerSet) has(name string) bool {
	for _, h := range s.m.SetHeaders {
		if h.GetHeader().GetKey() == name {
			return true
		}
	}
	return false
}
