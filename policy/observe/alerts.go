package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Alert is an event of a budget, as LiteLLM's webhook sends it
// (https://docs.litellm.ai/docs/proxy/alerting#webhook-alerting-for-budget-alerts). Absent values are null.
type Alert struct {
	Spend      float64  `json:"spend"`
	MaxBudget  *float64 `json:"max_budget"`
	SoftBudget *float64 `json:"soft_budget"`
	Token      *string  `json:"token"` // the key's hash
	CustomerID *string  `json:"customer_id"`
	UserID     *string  `json:"user_id"`
	TeamID     *string  `json:"team_id"`
	TeamAlias  *string  `json:"team_alias"`
	KeyAlias   *string  `json:"key_alias"`
	ResetAt    *string  `json:"budget_reset_at"`
	Event      string   `json:"event"`       // budget_crossed, threshold_crossed, soft_budget_crossed
	Group      string   `json:"event_group"` // key, team, user, proxy …
	Message    string   `json:"event_message"`
}

// Alerts sends alerts to a webhook, one after the other, and tries each several times. What cannot be sent is
// logged; what comes faster than it can be sent is dropped, and logged too.
type Alerts struct {
	log    *slog.Logger
	url    atomic.Pointer[string]
	queue  chan Alert
	client *http.Client
	wait   time.Duration // before the first repetition
}

const (
	alertQueue = 1000
	alertTries = 4
)

// NewAlerts makes alerts that go nowhere until Use and Run.
func NewAlerts(log *slog.Logger) *Alerts {
	a := &Alerts{log: log, queue: make(chan Alert, alertQueue), client: &http.Client{Timeout: 10 * time.Second}, wait: time.Second}
	a.Use("")
	return a
}

// Use sets where alerts go; empty: nowhere.
func (a *Alerts) Use(url string) { a.url.Store(&url) }

// Send queues an alert. It never waits.
func (a *Alerts) Send(alert Alert) {
	if *a.url.Load() == "" {
		return
	}
	select {
	case a.queue <- alert:
	default:
		a.log.Warn("an alert was dropped: the webhook is too slow", "event", alert.Event, "group", alert.Group)
	}
}

// Run sends until ctx ends.
func (a *Alerts) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case alert := <-a.queue:
			if err := a.deliver(ctx, alert); err != nil && ctx.Err() == nil {
				a.log.Warn("an alert could not be delivered to the webhook", "event", alert.Event, "group", alert.Group, "error", err)
			}
		}
	}
}

func (a *Alerts) deliver(ctx context.Context, alert Alert) error {
	body, err := json.Marshal(alert)
	if err != nil {
		return err
	}
	wait := a.wait
	for try := 1; ; try++ {
		if err = a.post(ctx, body); err == nil || try == alertTries {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		wait *= 4
	}
}

// post's errors do not hold the URL, which may be a secret in itself.
func (a *Alerts) post(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, *a.url.Load(), bytes.NewReader(body))
	if err != nil {
		return errors.New("WEBHOOK_URL is not a URL")
	}
	req.Header.Set("content-type", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return errors.New("it cannot be reached")
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode >= 300 {
		return fmt.Errorf("it answered %d", res.StatusCode)
	}
	return nil
}
