package envoy

import (
	"context"
	"net/http"
	"time"
)

// drainPoll is how often the requests under way are counted while draining.
const drainPoll = 50 * time.Millisecond

// StartDrain asks clients to leave: health checks fail, and every response closes its connection.
// Listeners go on accepting, so that a load balancer has time to notice.
func (a *Admin) StartDrain(ctx context.Context) error {
	if _, err := a.do(ctx, http.MethodPost, "/healthcheck/fail"); err != nil {
		return err
	}
	_, err := a.do(ctx, http.MethodPost, "/drain_listeners?graceful&skip_exit")
	return err
}

// CloseListeners refuses new connections from here on; those that exist go on.
func (a *Admin) CloseListeners(ctx context.Context) error {
	_, err := a.do(ctx, http.MethodPost, "/drain_listeners")
	return err
}

// WaitIdle returns 0 once no client's request is under way, or how many are left when ctx ends. It also
// returns when Envoy can't be asked any longer.
func (a *Admin) WaitIdle(ctx context.Context) (left int, err error) {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		n, err := a.ActiveRequests(ctx)
		switch {
		case ctx.Err() != nil:
			return left, ctx.Err()
		case err != nil:
			return left, err
		case n == 0:
			return 0, nil
		}
		left = n
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-tick.C:
		}
	}
}
