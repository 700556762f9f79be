package xds

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	celv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluicegw/sluice/internal/apierror"
)

// localReply is one row of the table of Envoy's own answers that reach a client without having met the
// processor, or because the processor failed. Those that do meet it are mapped by package extproc.
type localReply struct {
	when    string // CEL over the response's details
	status  uint32
	kind    string
	message string
}

// localReplyTable is read from the top; the first row that matches answers. The processor's own answers
// have details that begin with "sluice:" and match no row.
var localReplyTable = []localReply{
	{"response.code_details.contains('ext_proc_error')", 503, "internal_server_error",
		"sluice's processor is not answering; try again"},
	{"response.code_details.contains('overload') || response.code_details.contains('admission')", 503, "internal_server_error",
		"sluice is out of memory for new calls; try again"},
	{"response.code_details == 'request_payload_too_large'", 413, "invalid_request_error",
		"the request body is over the size limit"},
	{"response.code_details == 'request_payload_exceeded_retry_buffer_limit'", 413, "invalid_request_error",
		"the request body is over the size limit"},
	{"response.code_details == 'request_headers_too_large' || response.code == 431", 431, "invalid_request_error",
		"the request headers are too large"},
	{"response.code_details == 'request_overall_timeout' || response.code_details == 'request_header_timeout' || response.code == 408", 408, "invalid_request_error",
		"the request did not arrive in time"},
	{"response.code == 400", 400, "invalid_request_error",
		"the request is not valid HTTP"},
	{"response.code == 503", 503, "internal_server_error",
		"sluice is starting or stopping; try again"},
}

// localReplies answers in OpenAI's shape what Envoy says itself
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_conn_man/local_reply).
func localReplies() (*hcmv3.LocalReplyConfig, error) {
	out := &hcmv3.LocalReplyConfig{}
	for _, row := range localReplyTable {
		filter, err := celFilter("!response.code_details.startsWith('sluice:') && (" + row.when + ")")
		if err != nil {
			return nil, err
		}
		out.Mappers = append(out.Mappers, &hcmv3.ResponseMapper{
			Filter:             filter,
			StatusCode:         wrapperspb.UInt32(row.status),
			BodyFormatOverride: openAIError(row),
		})
	}
	return out, nil
}

func celFilter(expression string) (*accesslogv3.AccessLogFilter, error) {
	config, err := anypb.New(&celv3.ExpressionFilter{Expression: expression})
	if err != nil {
		return nil, err
	}
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ExtensionFilter{
		ExtensionFilter: &accesslogv3.ExtensionFilter{
			Name:       "envoy.access_loggers.extension_filters.cel",
			ConfigType: &accesslogv3.ExtensionFilter_TypedConfig{TypedConfig: config}}}}, nil
}

func openAIError(row localReply) *corev3.SubstitutionFormatString {
	e := apierror.Error{Status: int(row.status), Type: row.kind, Message: row.message}
	return &corev3.SubstitutionFormatString{
		Format: &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: string(e.JSON())}}},
		ContentType: "application/json",
	}
}
