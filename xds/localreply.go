package xds

import (
	"fmt"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	celv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluicegw/sluice/envoy/failure"
	"github.com/sluicegw/sluice/internal/apierror"
)

// localReplies answers in OpenAI's shape what Envoy says itself and the processor does not see: what is
// refused before it, what breaks after it has let an answer's headers pass, and its own absence. The
// processor's answers have details that begin with "sluice:" and match no row
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_conn_man/local_reply).
func localReplies() (*hcmv3.LocalReplyConfig, error) {
	away, err := awayMapper()
	if err != nil {
		return nil, err
	}
	out := &hcmv3.LocalReplyConfig{Mappers: []*hcmv3.ResponseMapper{away}}
	for _, row := range failure.Table {
		mapper, err := mapperFor(row)
		if err != nil {
			return nil, err
		}
		out.Mappers = append(out.Mappers, mapper)
	}
	rest, err := restMapper()
	out.Mappers = append(out.Mappers, rest)
	return out, err
}

func mapperFor(row failure.Row) (*hcmv3.ResponseMapper, error) {
	when := notOurs
	if row.Details != "" {
		when += fmt.Sprintf(" && response.code_details.contains('%s')", row.Details)
	}
	filter, err := celFilter(when)
	if err != nil {
		return nil, err
	}
	if row.Flag != "" {
		filter = both(filter, flagFilter(row.Flag))
	}
	return &hcmv3.ResponseMapper{
		Filter:             filter,
		StatusCode:         wrapperspb.UInt32(uint32(row.Status)),
		BodyFormatOverride: jsonBody(row.Error()),
	}, nil
}

// awayMapper answers for sluice's own API when nobody is there: it is no provider.
func awayMapper() (*hcmv3.ResponseMapper, error) {
	filter, err := celFilter(fmt.Sprintf("%s && xds.route_name == '%s'", notOurs, routeAPI))
	if err != nil {
		return nil, err
	}
	return &hcmv3.ResponseMapper{
		Filter:             both(filter, flagFilter(failure.AwayFlags...)),
		StatusCode:         wrapperspb.UInt32(uint32(failure.Away.Status)),
		BodyFormatOverride: jsonBody(failure.Away.Error()),
	}, nil
}

// restMapper keeps the status that Envoy chose.
func restMapper() (*hcmv3.ResponseMapper, error) {
	filter, err := celFilter(notOurs)
	e := failure.Rest.Error()
	e.Type, e.Code = "internal_server_error", "%RESPONSE_CODE%"
	return &hcmv3.ResponseMapper{Filter: filter, BodyFormatOverride: jsonBody(e)}, err
}

const notOurs = "!response.code_details.startsWith('sluice:')"

func jsonBody(e *apierror.Error) *corev3.SubstitutionFormatString {
	return &corev3.SubstitutionFormatString{
		Format: &corev3.SubstitutionFormatString_TextFormatSource{TextFormatSource: &corev3.DataSource{
			Specifier: &corev3.DataSource_InlineString{InlineString: string(e.JSON())}}},
		ContentType: "application/json",
	}
}

func celFilter(expression string) (*accesslogv3.AccessLogFilter, error) {
	config, err := pack(&celv3.ExpressionFilter{Expression: expression})
	if err != nil {
		return nil, err
	}
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ExtensionFilter{
		ExtensionFilter: &accesslogv3.ExtensionFilter{
			Name:       "envoy.access_loggers.extension_filters.cel",
			ConfigType: &accesslogv3.ExtensionFilter_TypedConfig{TypedConfig: config}}}}, nil
}

func flagFilter(flags ...string) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{
		ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{Flags: flags}}}
}

func both(a, b *accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_AndFilter{
		AndFilter: &accesslogv3.AndFilter{Filters: []*accesslogv3.AccessLogFilter{a, b}}}}
}
