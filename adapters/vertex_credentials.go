package adapters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"golang.org/x/oauth2"
	googleoauth "golang.org/x/oauth2/google"
)

// vertexScope is what a token may be used for.
const vertexScope = "https://www.googleapis.com/auth/cloud-platform"

// googleKey is a credential of Google's.
//
// https://cloud.google.com/docs/authentication/application-default-credentials
type googleKey struct {
	Type           string `json:"type"`
	ProjectID      string `json:"project_id"`
	QuotaProjectID string `json:"quota_project_id"`
	text           []byte // nil: what the machine offers
}

// readCredentials reads vertex_credentials: JSON, or the path of a file with it; nothing for what the machine
// offers. The error holds no part of it.
func readCredentials(given string) (*googleKey, error) {
	if given == "" {
		return &googleKey{}, nil
	}
	text := []byte(given)
	if !strings.HasPrefix(given, "{") {
		var err error
		if text, err = os.ReadFile(given); err != nil {
			return nil, fmt.Errorf("vertex_credentials: neither JSON nor a file that can be read (%w)", errors.Unwrap(err))
		}
	}
	k := &googleKey{}
	if json.Unmarshal(text, k) != nil || k.Type == "" {
		return nil, errors.New("vertex_credentials: not the JSON of a Google credential; take care of the line breaks in private_key, which are written \\n")
	}
	k.text = text
	if k.Type == string(googleoauth.ServiceAccount) {
		if _, err := googleoauth.JWTConfigFromJSON(text, vertexScope); err != nil {
			return nil, errors.New("vertex_credentials: not the key of a service account")
		}
	}
	return k, nil
}

// errNoCredentials is what a machine without credentials of Google's answers.
var errNoCredentials = errors.New("set vertex_credentials, or GOOGLE_APPLICATION_CREDENTIALS, to the key of a service account")

// fetch asks for a token. Credentials are read anew each time, because they keep a token until its very end.
func (k *googleKey) fetch(ctx context.Context) (*oauth2.Token, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Timeout: tokenTimeout})
	if k.text == nil {
		found, err := googleoauth.FindDefaultCredentials(ctx, vertexScope)
		if err != nil {
			return nil, errNoCredentials // the error says what was looked for, and where
		}
		return found.TokenSource.Token()
	}
	read, err := googleoauth.CredentialsFromJSONWithType(ctx, k.text, googleoauth.CredentialsType(k.Type), vertexScope)
	if err != nil {
		return nil, err
	}
	return read.TokenSource.Token()
}
