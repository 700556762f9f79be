package extproc

import (
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicegw/sluice/envoy/names"
)

// upstream translates one attempt after the first: Envoy has moved the call to the next cluster of its
// plan and asks what to send there. A call that is not known, or a cluster that the plan does not name,
// fails the attempt: what attempt 1 carried must never go to somebody else.
func (s *Server) upstream(stream extprocv3.ExternalProcessor_ProcessServer) error {
	var in extprocv3.ProcessingRequest
	if err := stream.RecvMsg(&in); err != nil {
		return ended(err)
	}
	headers := in.GetRequestHeaders().GetHeaders().GetHeaders()
	out, err := s.retranslate(headers, in.GetAttributes()[names.AttrFilter].GetFields()[names.AttrCluster].GetStringValue())
	if err != nil {
		s.Log.Error("an attempt could not be translated and was stopped", "error", err)
		return err
	}
	if err := stream.SendMsg(out); err != nil {
		return ended(err)
	}
	// Envoy ends the stream when it needs no more; until then there is nothing to say.
	return ended(stream.RecvMsg(&in))
}

func (s *Server) retranslate(headers []*corev3.HeaderValue, cluster string) (*extprocv3.ProcessingResponse, error) {
	n, err := strconv.Atoi(headerIn(headers, names.HeaderAttempt))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "the attempt has no count")
	}
	c := s.calls.get(headerIn(headers, names.HeaderCall))
	if c == nil {
		return nil, status.Error(codes.NotFound, "no call of this id is under way")
	}
	if n > len(c.plan.Attempts) || (cluster != "" && cluster != c.cluster(n)) {
		return nil, status.Errorf(codes.FailedPrecondition, "attempt %d went to cluster %q, which is not the plan's", n, cluster)
	}
	out, apiErr := c.translate(n)
	if apiErr != nil {
		return nil, status.Error(codes.FailedPrecondition, apiErr.Error())
	}
	var h headerSet
	outgoing(&h, out)
	// The header map is the one that the attempt before has filled: its credentials go.
	dropOthers(&h, headers)
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{
		RequestHeaders: &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{
			Status:         extprocv3.CommonResponse_CONTINUE_AND_REPLACE,
			HeaderMutation: &h.m,
			BodyMutation:   bodyMutation(out.Body),
		}}}}, nil
}

// dropOthers removes what is in the request's headers and not among those that are set: a client's key, or
// the credentials of the attempt before.
func dropOthers(h *headerSet, old []*corev3.HeaderValue) {
	for _, o := range old {
		if name := o.GetKey(); !keptBetweenAttempts(name) && !h.has(name) {
			h.remove(name)
		}
	}
}

func keptBetweenAttempts(name string) bool {
	switch name {
	case names.HeaderCall, names.HeaderGroup, names.HeaderProto, "host", "transfer-encoding":
		return true
	}
	return strings.HasPrefix(name, ":") || strings.HasPrefix(name, "x-envoy-")
}
