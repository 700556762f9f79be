// Package failure is the one table that turns Envoy's own failures into errors in OpenAI's shape.
//
// Package extproc reads it for calls that it follows, package xds makes the listener's local reply
// configuration from it for everything else, and docs/errors.md shows it to users. It decides nothing
// about retries: by the time it is asked, there is none left.
package failure

import (
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// Row is one failure: by its response flag, or by a part of its details, or both.
type Row struct {
	// Flag is the name that access logs print, and Bit its place in the attribute response.flags. Without
	// a flag, Details alone decides.
	Flag string
	Bit  uint
	// Details is a part of response.code_details; empty: any.
	Details string

	Status  int
	Kind    apierror.Kind
	Message string
}

// Table is read from the top: the first row that matches answers. Rows that say why the last attempt failed
// come before URX, which only says that it was the last
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage,
// https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_conn_man/response_code_details).
var Table = []Row{
	{Details: "request_payload_too_large", Status: 413, Kind: apierror.TooLarge, Message: "the request body is over the size limit"},
	{Details: "request_payload_exceeded", Status: 413, Kind: apierror.TooLarge, Message: "the request body is over the size limit"},
	{Details: "response_payload_too_large", Status: 500, Kind: apierror.BadReply, Message: "the provider's answer is over the size limit"},
	{Details: "request_overall_timeout", Status: 408, Kind: apierror.Timeout, Message: "the request did not arrive in time"},
	{Details: "request_header_timeout", Status: 408, Kind: apierror.Timeout, Message: "the request did not arrive in time"},
	{Details: "per-message_timeout_exceeded", Status: 503, Kind: apierror.Internal, Message: "sluice took too long over this call; try again"},
	{Details: "ext_proc_error", Status: 503, Kind: apierror.Internal, Message: "sluice's processor is not answering; try again"},
	{Details: "mutation", Status: 500, Kind: apierror.Internal, Message: "sluice made a mistake over this call"},
	{Details: "request_headers_too_large", Status: 431, Kind: apierror.BadRequest, Message: "the request headers are too large"},
	{Details: "headers_too_large", Status: 431, Kind: apierror.BadRequest, Message: "the request headers are too large"},
	{Flag: "UT", Bit: 2, Status: 408, Kind: apierror.Timeout, Message: "the provider did not answer in time"},
	{Flag: "UMSDR", Bit: 19, Status: 408, Kind: apierror.Timeout, Message: "the provider did not answer in time"},
	{Flag: "DT", Bit: 22, Status: 408, Kind: apierror.Timeout, Message: "the call took longer than it may"},
	{Flag: "SI", Bit: 16, Status: 408, Kind: apierror.Timeout, Message: "nothing was heard on this call for too long"},
	{Flag: "NC", Bit: 24, Status: 503, Kind: apierror.Unavailable, Message: "the deployment is no longer, or not yet, in service; try again"},
	{Flag: "UH", Bit: 1, Status: 503, Kind: apierror.Unavailable, Message: "nothing is in service for this call; try again"},
	{Flag: "UF", Bit: 5, Status: 500, Kind: apierror.Unavailable, Message: "the provider could not be reached"},
	{Flag: "UC", Bit: 6, Status: 500, Kind: apierror.Unavailable, Message: "the provider hung up before it answered"},
	{Flag: "UR", Bit: 4, Status: 500, Kind: apierror.Unavailable, Message: "the provider broke the call off before it answered"},
	{Flag: "DF", Bit: 26, Status: 500, Kind: apierror.Unavailable, Message: "the provider's name could not be resolved"},
	{Flag: "UPE", Bit: 23, Status: 500, Kind: apierror.BadReply, Message: "the provider's answer broke off, or is not valid HTTP"},
	{Flag: "OM", Bit: 25, Status: 503, Kind: apierror.Overloaded, Message: "sluice is out of memory for new calls; try again"},
	{Flag: "UO", Bit: 7, Status: 503, Kind: apierror.Overloaded, Message: "too many calls are under way; try again"},
	{Flag: "IH", Bit: 17, Status: 400, Kind: apierror.BadRequest, Message: "the request has a header that Envoy refuses"},
	{Flag: "DPE", Bit: 18, Status: 400, Kind: apierror.BadRequest, Message: "the request is not valid HTTP"},
	{Flag: "NR", Bit: 8, Status: 404, Kind: apierror.NotFound, Message: "there is nothing at this path"},
	{Flag: "URX", Bit: 15, Status: 500, Kind: apierror.Unavailable, Message: "every attempt failed"},
	{Flag: "LR", Bit: 3, Status: 500, Kind: apierror.Internal, Message: "sluice broke the call off"},
}

// Away answers requests to sluice's own API (/v1/models, /health …) while sluice does not: Envoy sends it for the flags
// AwayFlags on the API's route.
var Away = Row{Status: 503, Kind: apierror.Internal, Message: "sluice is not answering; try again"}

// AwayFlags are those with which a request to an API that is gone ends.
var AwayFlags = []string{"UF", "UC", "UR", "UH", "URX"}

// Rest answers what no row knows.
var Rest = Row{Flag: "-", Status: 500, Kind: apierror.Internal, Message: "sluice could not carry out this call"}

// Find is the error for an answer that Envoy made itself, from the attributes response.flags and
// response.code_details and the status that Envoy would send.
func Find(flags uint64, details string, status int) *apierror.Error {
	for i := range Table {
		if Table[i].matches(flags, details) {
			return Table[i].Error()
		}
	}
	e := Rest.Error()
	if status >= 400 {
		e.Status, e.Kind = status, apierror.KindFor(status)
	}
	return e
}

func (r *Row) matches(flags uint64, details string) bool {
	if r.Flag != "" && flags&(1<<r.Bit) == 0 {
		return false
	}
	return strings.Contains(details, r.Details)
}

// Error is the row as a client sees it.
func (r *Row) Error() *apierror.Error { return apierror.New(r.Kind, r.Status, "%s", r.Message) }
