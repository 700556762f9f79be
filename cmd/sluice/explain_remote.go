package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluicegw/sluice/cmd/sluice/config"
)

// explainTimeout bounds the question to a running gateway.
const explainTimeout = 10 * time.Second

// told is the message of an error in OpenAI's shape, or the whole text.
func told(text []byte) string {
	var answer struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(text, &answer) == nil && answer.Error.Message != "" {
		return answer.Error.Message
	}
	return strings.TrimSpace(string(text))
}

// explainRemote has the gateway at o.url explain a call: it knows who rests.
func explainRemote(o options, stdout io.Writer, env func(string) (string, bool)) error {
	key, _ := env("LITELLM_MASTER_KEY")
	if o.config != "" {
		c, err := config.Load(o.config, env)
		if err != nil {
			return err
		}
		key = c.General.MasterKey.Reveal()
	}
	ctx, cancel := context.WithTimeout(context.Background(), explainTimeout)
	defer cancel()
	if !strings.Contains(o.url, "://") {
		o.url = "http://" + o.url
	}
	to := strings.TrimSuffix(o.url, "/") + "/health/explain?model=" + url.QueryEscape(o.explain)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
	if err != nil {
		return fmt.Errorf("--url %s is not the address of a gateway, such as http://localhost:4000", o.url)
	}
	if key != "" {
		request.Header.Set("authorization", "Bearer "+key)
	}
	answer, err := http.DefaultClient.Do(request)
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("the certificate of the gateway at %s is not trusted here (name its authority's PEM file in SSL_CERT_FILE): %w", o.url, untrusted.Err)
	case err != nil:
		return fmt.Errorf("the gateway at %s does not answer: %w", o.url, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("the gateway at %s broke off: %w", o.url, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway at %s answers %s: %s", o.url, answer.Status, told(text))
	}
	_, err = stdout.Write(text)
	return err
}
