package adapters

import "github.com/sluicegw/sluice/internal/apierror"

func (p *Reply) collect(body []byte) ([]byte, *apierror.Error) { return nil, p.bad("a stream") }

func (p *Reply) unroll(whole []byte) ([]byte, *apierror.Error) { return whole, nil }
