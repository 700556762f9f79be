package adapters

import (
	"net/http"

	"github.com/sluicegw/sluice/adapters/fanout"
	"github.com/sluicegw/sluice/internal/apierror"
)

// several is the request for this process's own server to make the calls that c is, each written and signed as if it
// went to the provider by itself.
func (t *Target) several(c *call) (*Outgoing, *apierror.Error) {
	bodies, err := t.p.dialect.(multiple).bodies(c)
	if err != nil {
		return nil, err
	}
	calls := make([]fanout.Call, len(bodies))
	for i, body := range bodies {
		one := Outgoing{Method: http.MethodPost, Authority: t.authority(), Body: body}
		if err := t.p.host.address(c, &one); err != nil {
			return nil, err
		}
		calls[i] = fanout.Call{URL: t.endpoint.Scheme + "://" + one.Authority + one.Path, Body: string(body)}
		for _, h := range one.Headers {
			calls[i].Headers = append(calls[i].Headers, [2]string{h.Name, h.Value})
		}
	}
	body, e := fanout.Body(calls)
	if e != nil {
		return nil, apierror.New(apierror.Internal, http.StatusInternalServerError, "The calls could not be put together: %s.", e)
	}
	return &Outgoing{
		Method: http.MethodPost, Path: fanout.Path, Authority: "localhost", Body: body,
		Headers: []Header{{"content-type", "application/json"}, {"accept", "application/json"}, {fanout.TokenHeader, fanout.Token()}},
	}, nil
}
