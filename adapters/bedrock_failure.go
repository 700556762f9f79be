package adapters

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// awsFailure reads {"message"}; AWS tells the kind of an error in a header, or in __type.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html
func awsFailure(doc *jsondoc.Doc) *failure {
	f := &failure{message: doc.Get("message").Text(), typ: doc.Get("__type").Text()}
	if f.message == "" {
		f.message = doc.Get("Message").Text()
	}
	if i := strings.LastIndexByte(f.typ, '#'); i >= 0 {
		f.typ = f.typ[i+1:]
	}
	if f.message == "" && f.typ == "" {
		return openAIFailure(doc)
	}
	return f
}

// awsStatus are the statuses that AWS's errors stand for, where none came with them: in a stream. The names begin
// with a capital letter in a header, and with a small one in a stream.
var awsStatus = map[string]int{
	"validationexception":           http.StatusBadRequest,
	"accessdeniedexception":         http.StatusForbidden,
	"resourcenotfoundexception":     http.StatusNotFound,
	"modelnotreadyexception":        http.StatusTooManyRequests,
	"throttlingexception":           http.StatusTooManyRequests,
	"servicequotaexceededexception": http.StatusTooManyRequests,
	"modeltimeoutexception":         http.StatusRequestTimeout,
	"modelerrorexception":           http.StatusFailedDependency,
	"modelstreamerrorexception":     http.StatusFailedDependency,
	"internalserverexception":       http.StatusInternalServerError,
	"serviceunavailableexception":   http.StatusServiceUnavailable,
}

// awsException is the error that a frame of a stream stands for.
func (p *Reply) awsException(name string, data []byte) *apierror.Error {
	f := &failure{typ: name}
	data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	var doc jsondoc.Doc
	if doc.Reset(data, true) == nil {
		f.message = firstOf(doc.Get("message").Text(), doc.Get("originalMessage").Text())
		if n := doc.Get("originalStatusCode").Count(); n >= 400 && n <= 599 {
			f.status = int(n)
		}
	} else {
		f.message = p.plain(data)
	}
	if f.message == "" {
		f.message = name
	}
	if f.status == 0 {
		f.status = awsStatus[strings.ToLower(name)]
	}
	return p.failed(http.StatusInternalServerError, f)
}

// classify tells the kind of an error of Bedrock's and the status it is passed on with, which follow LiteLLM's
// exception mapping: a 500 is passed on as 503, credentials that AWS does not know as 401.
func (bedrock) classify(status int, f *failure) (apierror.Kind, int) {
	kind := strings.ToLower(f.typ)
	switch text := f.message; {
	case containsAny(text, "too many tokens", "expected maxLength:", "Input is too long", "prompt is too long",
		"prompt: length: 1..", "Too many input tokens"):
		return apierror.ContextLength, http.StatusBadRequest
	case containsAny(text, "Unable to locate credentials", "The security token included in the request is invalid"),
		containsAny(kind, "unrecognizedclient"):
		return apierror.Unauthenticated, http.StatusUnauthorized
	case containsAny(kind, "invalidsignature", "expiredtoken", "incompletesignature", "missingauthenticationtoken"):
		return apierror.Unauthenticated, status
	case containsAny(kind, "accessdenied"), strings.Contains(text, "AccessDeniedException"):
		return apierror.Forbidden, http.StatusForbidden
	case containsAny(kind, "throttling", "modelnotready", "servicequotaexceeded"), containsAny(text, "throttlingException", "ThrottlingException"):
		return apierror.RateLimit, http.StatusTooManyRequests
	case containsAny(kind, "modeltimeout"), strings.Contains(text, "timed out"):
		return apierror.Timeout, http.StatusRequestTimeout
	case status == http.StatusFailedDependency: // the model failed, not the client
		return apierror.Internal, status
	case status == http.StatusInternalServerError:
		return apierror.Internal, http.StatusServiceUnavailable
	case status == http.StatusRequestEntityTooLarge, status == statusOverloaded:
		return apierror.KindFor(status), status
	case status == http.StatusGatewayTimeout:
		return apierror.Timeout, http.StatusGatewayTimeout
	}
	return classify(status, f)
}

func containsAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
