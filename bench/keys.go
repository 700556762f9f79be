package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// limitedKey makes a user, a team and a key of theirs, all with budgets and limits that no load reaches: a call of the
// key has to be held against three of the first and nine of the second.
func limitedKey(address string) (string, error) {
	limits := func(more map[string]any) map[string]any {
		more["max_budget"], more["budget_duration"] = 1e6, "30d"
		more["rpm_limit"], more["tpm_limit"], more["max_parallel_requests"] = 1_000_000_000, 1_000_000_000_000, 1_000_000
		return more
	}
	if _, err := ask(address, "/user/new", limits(map[string]any{"user_id": "bench-user", "auto_create_key": false})); err != nil {
		return "", err
	}
	team := limits(map[string]any{"team_id": "bench-team", "team_alias": "bench",
		"members_with_roles": []any{map[string]any{"role": "user", "user_id": "bench-user"}}})
	if _, err := ask(address, "/team/new", team); err != nil {
		return "", err
	}
	made, err := ask(address, "/key/generate", limits(map[string]any{"user_id": "bench-user", "team_id": "bench-team"}))
	if err != nil {
		return "", err
	}
	key, _ := made["key"].(string)
	if key == "" {
		return "", fmt.Errorf("/key/generate gave no key")
	}
	return key, nil
}

// ask calls sluice's admin API.
func ask(address, path string, body map[string]any) (map[string]any, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+address+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+masterKey)
	r.Header.Set("Content-Type", "application/json")
	h := http.Client{Timeout: 10 * time.Second}
	defer h.CloseIdleConnections()
	answer, err := h.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %.300s", path, answer.Status, got)
	}
	var out map[string]any
	return out, json.Unmarshal(got, &out)
}
