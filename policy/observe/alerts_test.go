package observe

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestAlerts(t *testing.T) {
	got := make(chan map[string]any, 10)
	failures := 2
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if failures--; failures >= 0 {
			w.WriteHeader(500)
			return
		}
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		got <- body
	}))
	defer hook.Close()
	a := NewAlerts(slog.New(slog.DiscardHandler))
	a.wait = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go a.Run(ctx)
	a.Send(Alert{Event: "nowhere yet"})
	a.Use(hook.URL)
	token := "hash"
	a.Send(Alert{Event: "budget_crossed", Group: "key", Token: &token, Spend: 1.5})
	body := <-got
	if body["event"] != "budget_crossed" || body["token"] != "hash" || body["spend"] != 1.5 || body["team_id"] != nil {
		t.Errorf("%v", body)
	}
	for range alertQueue + 10 { // none of these waits
		a.Send(Alert{})
	}
}
