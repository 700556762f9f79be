package extproc

import (
	"strconv"
	"testing"

	"github.com/sluicegw/sluice/envoy/names"
)

// TestManyHeaders: however many headers a provider sends, the answer has no more than Envoy takes.
func TestManyHeaders(t *testing.T) {
	e := connect(t)
	stream := e.open(t.Context(), names.FilterRouter)
	e.ask(stream, goodHeaders())
	e.ask(stream, requestBody(body))
	head := answerHeaders("200", "application/json", 1)
	for i := range 95 {
		head.GetResponseHeaders().Headers.Headers = append(head.GetResponseHeaders().Headers.Headers, headerMap("x-p-"+strconv.Itoa(i), "v").Headers...)
	}
	e.ask(stream, head)
	m := e.ask(stream, answerBody(answerOK, true)).GetResponseBody().GetResponse().GetHeaderMutation()
	if n := len(m.GetSetHeaders()); n > 95 || n < 80 || len(m.GetRemoveHeaders()) < 95 {
		t.Errorf("%d headers are set, %d removed", n, len(m.GetRemoveHeaders()))
	}
	if set(m, "x-litellm-model-id") != "one" || set(m, "content-length") == "" || set(m, "llm_provider-x-p-0") != "v" {
		t.Errorf("%v", m)
	}
	_ = stream.CloseSend()
	_, _ = stream.Recv()
	e.idle(1)
}
