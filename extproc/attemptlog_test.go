package extproc

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datav3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluicegw/sluice/envoy/names"
)

// TestImpatientClients cannot put a deployment out of service: a limit in time that the client chose says
// nothing about it, whatever else is in the log.
func TestImpatientClients(t *testing.T) {
	timeout := &datav3.ResponseFlags{UpstreamRequestTimeout: true}
	for _, tt := range []struct {
		name  string
		hurry bool
		flags *datav3.ResponseFlags
		code  uint32
		cools bool
	}{
		{"the configuration's limit", false, timeout, 0, true},
		{"the client's limit", true, timeout, 0, false},
		{"an answer within the client's limit", true, &datav3.ResponseFlags{}, 500, true},
		{"the provider's own 408", true, &datav3.ResponseFlags{}, 408, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := connect(t)
			extra := ""
			if tt.hurry {
				extra = `,"timeout":0.001`
			}
			stream := e.open(t.Context(), names.FilterRouter)
			e.ask(stream, goodHeaders())
			sent := e.ask(stream, requestBody(body[:len(body)-1]+extra+"}")).GetRequestBody().GetResponse()
			log := &AttemptLog{server: e.server}
			for range 10 {
				log.failed(&datav3.HTTPAccessLogEntry{
					CommonProperties: &datav3.AccessLogCommon{UpstreamCluster: "one.hash", ResponseFlags: tt.flags},
					Request:          &datav3.HTTPRequestProperties{RequestId: set(sent.GetHeaderMutation(), names.HeaderCall)},
					Response:         &datav3.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(tt.code)},
				})
			}
			if got := e.server.Health.State("one").Cooling; got != tt.cools {
				t.Errorf("out of service: %v", got)
			}
			_ = stream.CloseSend()
			_, _ = stream.Recv()
			e.idle(1)
		})
	}
}

// TestReasonOfTheRefusingAddress: only a name without addresses is said to have none.
func TestReasonOfTheRefusingAddress(t *testing.T) {
	refused := &datav3.AccessLogCommon{
		UpstreamTransportFailureReason: "delayed_connect_error:_Connection_refused",
		UpstreamRemoteAddress: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: names.RefusingHost, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: names.RefusingPort}}}},
	}
	for base, want := range map[string]string{
		"https://nobody.invalid": "its host has no address: its name cannot be resolved, or not yet",
		"http://127.0.0.1:1":     "delayed connect error: Connection refused",
	} {
		if got := reason(refused, base); got != want {
			t.Errorf("%s: %q, want %q", base, got, want)
		}
	}
}
