package extproc

import (
	extprocmodev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/sluicegw/sluice/internal/apierror"
)

// The shapes of what Envoy may be told
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/service/ext_proc/v3/external_processor.proto).

// carryOn lets the message pass as it is.
func requestHeadersPass() *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{
		RequestHeaders: &extprocv3.HeadersResponse{}}}
}

func responseHeadersPass() *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{
		ResponseHeaders: &extprocv3.HeadersResponse{}}}
}

// responseHeaders changes the headers of an answer that is then streamed.
func responseHeadersStream(h *headerSet) *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_ResponseHeaders{
			ResponseHeaders: &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{HeaderMutation: &h.m}}},
		ModeOverride: streamed,
	}
}

var streamed = &extprocmodev3.ProcessingMode{
	RequestHeaderMode:   extprocmodev3.ProcessingMode_SKIP,
	ResponseHeaderMode:  extprocmodev3.ProcessingMode_SEND,
	RequestBodyMode:     extprocmodev3.ProcessingMode_NONE,
	ResponseBodyMode:    extprocmodev3.ProcessingMode_STREAMED,
	RequestTrailerMode:  extprocmodev3.ProcessingMode_SKIP,
	ResponseTrailerMode: extprocmodev3.ProcessingMode_SKIP,
}

// responseBody replaces a body, or a piece of one; h may be nil.
func responseBody(body []byte, h *headerSet) *extprocv3.ProcessingResponse {
	common := &extprocv3.CommonResponse{BodyMutation: bodyMutation(body)}
	if h != nil {
		common.HeaderMutation = &h.m
	}
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{
		ResponseBody: &extprocv3.BodyResponse{Response: common}}}
}

// bodyMutation says "no body" in the way Envoy asks for it.
func bodyMutation(body []byte) *extprocv3.BodyMutation {
	if len(body) == 0 {
		return &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_ClearBody{ClearBody: true}}
	}
	return &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: body}}
}

// immediate ends the call with an error of the given shape. Its details begin with "sluice:", by which the
// listener's table of local replies knows to leave it alone.
func immediate(e *apierror.Error, h *headerSet) *extprocv3.ProcessingResponse {
	h.set("content-type", "application/json")
	if e.RetryAfter > 0 && !h.has("retry-after") {
		h.set("retry-after", e.RetryAfterSeconds())
	}
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{
		ImmediateResponse: &extprocv3.ImmediateResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(e.Status)},
			Headers: &h.m,
			Body:    e.JSON(),
			Details: "sluice:" + string(e.Kind),
		}}}
}
