package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// takeProfile asks sluice, on the socket that SLUICE_PPROF made, for a CPU profile of the next d.
func takeProfile(socket string, d time.Duration, path string) error {
	h := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer h.CloseIdleConnections()
	answer, err := h.Get("http://sluice/profile?for=" + d.String())
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %.300s", answer.Status, body)
	}
	return os.WriteFile(path, body, 0o644)
}
