package adapters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// identityToken is a web identity's token: where it comes from, in LiteLLM's words: oidc/file/PATH, oidc/env/NAME,
// oidc/env_path/NAME, oidc/google/AUDIENCE, oidc/github/AUDIENCE, oidc/circleci/; or the path of a file, or the
// token itself. It is read anew each time, for such tokens are short-lived.
//
// https://docs.litellm.ai/docs/oidc
type identityToken struct {
	ctx   context.Context
	where string
}

// maxToken bounds what is read of a file or an answer in bytes.
const maxToken = 64 << 10

// GetIdentityToken implements stscreds.IdentityTokenRetriever.
func (t identityToken) GetIdentityToken() ([]byte, error) {
	token, err := t.read()
	if err != nil {
		return nil, fmt.Errorf("aws_web_identity_token: %w", err)
	}
	if token = strings.TrimSpace(token); token == "" {
		return nil, errors.New("aws_web_identity_token: it is empty")
	}
	return []byte(token), nil
}

func (t identityToken) read() (string, error) {
	kind, arg, ok := strings.Cut(strings.TrimPrefix(t.where, "oidc/"), "/")
	switch {
	case strings.HasPrefix(t.where, "/"):
		return readToken(t.where)
	case !strings.HasPrefix(t.where, "oidc/"):
		if strings.Count(t.where, ".") == 2 {
			return t.where, nil
		}
		return "", errors.New("neither oidc/…, nor a path, nor a token")
	case !ok:
		return "", errors.New("write it as oidc/KIND/…")
	}
	switch kind {
	case "file":
		return readToken(arg)
	case "env":
		return os.Getenv(arg), nil
	case "env_path":
		return readToken(os.Getenv(arg))
	case "circleci":
		return os.Getenv("CIRCLE_OIDC_TOKEN"), nil
	case "circleci_v2":
		return os.Getenv("CIRCLE_OIDC_TOKEN_V2"), nil
	case "google":
		return t.ask("http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity?audience="+
			url.QueryEscape(arg), "Metadata-Flavor", "Google")
	case "github":
		return t.github(arg)
	}
	return "", fmt.Errorf("oidc/%s is not known: use file, env, env_path, google, github or circleci", clipText(kind, 32))
}

func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", errors.New("its file cannot be read")
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err != nil {
		return "", errors.New("its file cannot be read")
	}
	return string(b), nil
}

// github asks the runner of a GitHub action.
//
// https://docs.github.com/en/actions/security-for-github-actions/security-hardening-your-deployments/about-security-hardening-with-openid-connect
func (t identityToken) github(audience string) (string, error) {
	where := os.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL")
	if where == "" {
		return "", errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not set")
	}
	answer, err := t.ask(where+"&audience="+url.QueryEscape(audience), "Authorization", "Bearer "+os.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	if err != nil {
		return "", err
	}
	var doc struct{ Value string }
	if json.Unmarshal([]byte(answer), &doc) != nil {
		return "", errors.New("GitHub's answer is not JSON")
	}
	return doc.Value, nil
}

func (t identityToken) ask(where, header, value string) (string, error) {
	req, err := http.NewRequestWithContext(t.ctx, http.MethodGet, where, nil)
	if err != nil {
		return "", errors.New("its address is not a URL")
	}
	req.Header.Set(header, value)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", errors.New("who gives it out cannot be reached")
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxToken))
	if err != nil || resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("who gives it out answered %d", resp.StatusCode)
	}
	return string(b), nil
}
