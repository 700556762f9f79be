package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/sluicegw/sluice/adapters"
)

// prober asks a deployment's model for one token, past Envoy: it is the deployment that is asked after.
type prober struct {
	gateway *gateway
	client  *http.Client
}

// mostProbed bounds the answer that is read.
const mostProbed = 1 << 20

func probeClient() *http.Client {
	return &http.Client{
		// An answer that sends elsewhere is not the model's.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Probe implements admin.Prober.
func (p *prober) Probe(ctx context.Context, id string) error {
	a := p.gateway.current.Load()
	if a == nil || a.snapshot.Deployments[id] == nil {
		return errors.New("no such deployment")
	}
	d := a.snapshot.Deployments[id]
	if d.Out != "" {
		return errors.New(d.Out)
	}
	if strings.Contains(d.Target.Model(), "*") {
		return errors.New("a wildcard names no model that could be asked")
	}
	request, apiErr := adapters.Parse(probeBody(a, id))
	if apiErr != nil {
		return apiErr
	}
	out, apiErr := d.Target.Request(request)
	if apiErr != nil {
		return apiErr
	}
	return p.ask(ctx, d.Target, request, out)
}

// probeBody is the smallest request of the deployment's kind.
func probeBody(a *assembly, id string) (adapters.Op, []byte) {
	for _, d := range a.deployments {
		if d.config.ID == id {
			switch d.config.Info.Mode {
			case "embedding":
				return adapters.Embedding, []byte(`{"model":"probe","input":"ping"}`)
			case "completion":
				return adapters.Completion, []byte(`{"model":"probe","prompt":"ping","max_tokens":1}`)
			}
			if d.config.Info.Mode == "rerank" || strings.Contains(d.target.Model(), "rerank") {
				return adapters.Rerank, []byte(`{"model":"probe","query":"ping","documents":["pong"]}`)
			}
			if strings.Contains(d.target.Model(), "embed") {
				return adapters.Embedding, []byte(`{"model":"probe","input":"ping"}`)
			}
		}
	}
	return adapters.Chat, []byte(`{"model":"probe","messages":[{"role":"user","content":"ping"}],"max_tokens":16}`)
}

func (p *prober) ask(ctx context.Context, t *adapters.Target, request *adapters.Request, out *adapters.Outgoing) error {
	e := t.Endpoint()
	client := p.client
	url := apiBase(e) + out.Path
	if e.Socket != "" {
		client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", e.Socket)
			}}}
		url = "http://" + out.Authority + out.Path
	}
	req, err := http.NewRequestWithContext(ctx, out.Method, url, bytes.NewReader(out.Body))
	if err != nil {
		return errors.New("the deployment's address is not valid")
	}
	for _, h := range out.Headers {
		req.Header.Set(h.Name, h.Value)
	}
	req.Header.Set("accept-encoding", "identity")
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer: %w", errors.Unwrap(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostProbed))
	if err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	reply := t.Reply(request, "probe")
	if reply.Begin(resp.StatusCode, resp.Header.Get) == adapters.Events {
		return nil
	}
	if _, apiErr := reply.Whole(body); apiErr != nil {
		return apiErr
	}
	return nil
}
