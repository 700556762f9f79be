package extproc

import (
	"net"
	"strconv"
	"strings"
	"time"

	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"

	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/route"
)

// AttemptLog receives Envoy's log of failed attempts and tells the health tracker. Entries are batched and
// may be lost: nothing that costs money hangs on them.
type AttemptLog struct {
	alsv3.UnimplementedAccessLogServiceServer
	server *Server
}

// RegisterAttemptLog adds the access log service to a gRPC server.
func (s *Server) RegisterAttemptLog(g grpc.ServiceRegistrar) {
	alsv3.RegisterAccessLogServiceServer(g, &AttemptLog{server: s})
}

// StreamAccessLogs takes entries until Envoy ends the stream.
func (l *AttemptLog) StreamAccessLogs(stream alsv3.AccessLogService_StreamAccessLogsServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return ended(err)
		}
		for _, entry := range m.GetHttpLogs().GetLogEntry() {
			l.failed(entry)
		}
	}
}

func (l *AttemptLog) failed(entry *datav3.HTTPAccessLogEntry) {
	common := entry.GetCommonProperties()
	id, ok := names.DeploymentOf(common.GetUpstreamCluster())
	if !ok {
		return // the API, or the dead end
	}
	// Envoy sends an entry once or not at all, and tells no attempt's number in it (1.40): nothing could be
	// recognised as a repetition, and nothing need be.
	l.server.failed(entry.GetRequest().GetRequestId(), common.GetUpstreamCluster(), tried(entry))
	o := route.Outcome{DeploymentID: id}
	o.Status, o.Kind, o.Ours = outcome(int(entry.GetResponse().GetResponseCode().GetValue()), common.GetResponseFlags())
	if o.Kind == apierror.Cancelled {
		return
	}
	o.ClientTimeout = common.GetResponseFlags().GetUpstreamRequestTimeout() &&
		strings.HasSuffix(entry.GetRequest().GetRequestId(), markHurried)
	o.RetryAfter = retryAfter(entry.GetResponse().GetResponseHeaders())
	l.server.attemptFailed(o, reason(common, l.server.apiBaseOf(id)))
}

// attemptFailed tells of a failed attempt, once. why is why the deployment could not be reached, where that is known.
func (s *Server) attemptFailed(o route.Outcome, why string) {
	if s.Health.Report(o) { // the metrics don't know a repeated entry
		s.trouble.failed(o, why, time.Now())
		s.Metrics.Attempt(observe.AttemptRecord{Deployment: o.DeploymentID, Status: o.Status, Kind: o.Kind})
	}
}

const longestReason = 200

var refusing = "//" + net.JoinHostPort(names.RefusingHost, strconv.Itoa(names.RefusingPort))

// reason is why a deployment could not be reached, for the log: a connection that is refused, a certificate that does
// not fit. Empty: Envoy does not say. A deployment may itself be at the address that stands for names without any.
func reason(common *datav3.AccessLogCommon, apiBase string) string {
	at := common.GetUpstreamRemoteAddress().GetSocketAddress()
	if at.GetAddress() == names.RefusingHost && at.GetPortValue() == names.RefusingPort && !strings.HasSuffix(apiBase, refusing) {
		return "its host has no address: its name cannot be resolved, or not yet"
	}
	r := common.GetUpstreamTransportFailureReason()
	if len(r) > longestReason {
		r = r[:longestReason]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(r, "_", " "), "")
}

// tried is how an attempt ended, for its price.
func tried(entry *datav3.HTTPAccessLogEntry) tryOutcome {
	f := entry.GetCommonProperties().GetResponseFlags()
	var o tryOutcome
	o.status, o.kind, _ = outcome(int(entry.GetResponse().GetResponseCode().GetValue()), f)
	o.unreached = f.GetUpstreamConnectionFailure() || f.GetDnsResolutionFailure() || f.GetNoHealthyUpstream() || f.GetNoRouteFound()
	return o
}

// markHurried ends the ids of calls whose limit in time is the client's own. The log names a call by its id only,
// often after its end, and whoever asks for an answer within a millisecond must not put a deployment out of
// service for everybody.
const markHurried = "-hurried"

// outcome reads how an attempt ended. An answer's status goes before flags; without one the flags tell.
func outcome(code int, f *datav3.ResponseFlags) (status int, kind apierror.Kind, ours bool) {
	switch {
	case f.GetDownstreamConnectionTermination() || f.GetDownstreamProtocolError():
		return statusClientLeft, apierror.Cancelled, true
	case f.GetUpstreamRequestTimeout() || f.GetUpstreamMaxStreamDurationReached() || f.GetStreamIdleTimeout() || f.GetDurationTimeout():
		return 408, apierror.Timeout, false
	case f.GetUpstreamConnectionFailure(), f.GetUpstreamConnectionTermination(), f.GetUpstreamRemoteReset(), f.GetUpstreamProtocolError():
		return 500, apierror.Unavailable, false
	case f.GetLocalReset() && code < 400, f.GetOverloadManager():
		return 500, apierror.Internal, true
	case code >= 400:
		return code, apierror.KindFor(code), false
	}
	return 500, apierror.Unavailable, f.GetLocalReset()
}

const longestRetryAfter = 10 * time.Minute

// retryAfter is the provider's wish, in whole seconds or a date (RFC 9110, 10.2.3), or in milliseconds
// under the name that some SDKs use.
func retryAfter(headers map[string]string) time.Duration {
	if ms, err := strconv.ParseFloat(headers["retry-after-ms"], 64); err == nil && ms > 0 {
		return min(time.Duration(ms*float64(time.Millisecond)), longestRetryAfter)
	}
	text := strings.TrimSpace(headers["retry-after"])
	if s, err := strconv.ParseFloat(text, 64); err == nil && s > 0 {
		return min(time.Duration(s*float64(time.Second)), longestRetryAfter)
	}
	if at, err := time.Parse(time.RFC1123, text); err == nil {
		return min(max(0, time.Until(at)), longestRetryAfter)
	}
	return 0
}
