package adapters

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Where Entra gives tokens, and for what.
const (
	entraAuthority = "https://login.microsoftonline.com"
	entraScope     = "https://cognitiveservices.azure.com/.default"
	tokenTimeout   = 10 * time.Second
	// imdsToken answers on Azure's machines only.
	imdsToken = "http://169.254.169.254/metadata/identity/oauth2/token"
)

// entraSource is where tokens come from for a deployment without an API key, by the settings that are
// LiteLLM's: azure_ad_token as it is, or a service principal's secret, a federated token (workload
// identity), or the machine's managed identity. It is nil if the settings name none.
//
// https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/managed-identity
func entraSource(set map[string]string) (*tokenSource, error) {
	tenant, id, secret := set["tenant_id"], set["client_id"], set["client_secret"]
	token, file := set["azure_ad_token"], set["azure_federated_token_file"]
	scope := set["azure_scope"]
	if scope == "" {
		scope = entraScope
	}
	var fetch func(context.Context) (*oauth2.Token, error)
	switch {
	case tenant != "" && id != "" && secret != "":
		fetch = entraConfig(set, scope, "", nil)
	case strings.HasPrefix(token, "oidc/file/"):
		file = strings.TrimPrefix(token, "oidc/file/")
		if tenant == "" || id == "" {
			return nil, errors.New("azure_ad_token: oidc/ needs tenant_id and client_id beside it")
		}
		fetch = entraConfig(set, scope, file, nil)
	case strings.HasPrefix(token, "oidc/"):
		return nil, errors.New("azure_ad_token: of oidc/ only oidc/file/PATH is supported")
	case token != "":
		return nil, headerValue(token)
	case tenant != "" && id != "" && file != "":
		fetch = entraConfig(set, scope, file, nil)
	case set["azure_managed_identity"] == "true":
		fetch = managedIdentity(set, strings.TrimSuffix(scope, "/.default"))
	default:
		return nil, nil
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%q", []string{set["azure_authority_host"], tenant, id, secret, scope, file,
		set["identity_endpoint"], set["identity_header"]}))
	return tokensOf(key, fetch), nil
}

// entraConfig asks for a service principal's token, with its secret or with the token in a file, which is
// read anew each time because it is renewed from outside.
//
// https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func entraConfig(set map[string]string, scope, file string, client *http.Client) func(context.Context) (*oauth2.Token, error) {
	authority := strings.TrimRight(set["azure_authority_host"], "/")
	if authority == "" {
		authority = entraAuthority
	}
	c := clientcredentials.Config{
		ClientID: set["client_id"], ClientSecret: set["client_secret"], Scopes: []string{scope},
		TokenURL:  authority + "/" + url.PathEscape(set["tenant_id"]) + "/oauth2/v2.0/token",
		AuthStyle: oauth2.AuthStyleInParams,
	}
	return func(ctx context.Context) (*oauth2.Token, error) {
		own := c
		if file != "" {
			assertion, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("the federated token: %w", err)
			}
			own.ClientSecret = ""
			own.EndpointParams = url.Values{
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
				"client_assertion":      {strings.TrimSpace(string(assertion))},
			}
		}
		if client != nil {
			ctx = context.WithValue(ctx, oauth2.HTTPClient, client)
		}
		return own.Token(ctx)
	}
}

// managedIdentity asks the machine for a token: App Service and its relatives by the endpoint that their
// environment names, virtual machines by the metadata service.
//
// https://learn.microsoft.com/en-us/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
func managedIdentity(set map[string]string, resource string) func(context.Context) (*oauth2.Token, error) {
	endpoint, version, header, secret := imdsToken, "2018-02-01", "Metadata", "true"
	if own := set["identity_endpoint"]; own != "" {
		endpoint, version, header, secret = own, "2019-08-01", "X-Identity-Header", set["identity_header"]
	}
	q := url.Values{"api-version": {version}, "resource": {resource}}
	if id := set["client_id"]; id != "" {
		q.Set("client_id", id)
	}
	return func(ctx context.Context) (*oauth2.Token, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"?"+q.Encode(), nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set(header, secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("the managed identity's endpoint answered HTTP %d", resp.StatusCode)
		}
		return machineToken(body)
	}
}

// machineToken reads {"access_token", "expires_on": seconds since 1970, as a text or a number}.
func machineToken(body []byte) (*oauth2.Token, error) {
	var t struct {
		AccessToken string      `json:"access_token"`
		ExpiresOn   json.Number `json:"expires_on"`
	}
	if err := json.Unmarshal(body, &t); err != nil || t.AccessToken == "" {
		return nil, errors.New("the managed identity's endpoint answered no token")
	}
	on, err := strconv.ParseInt(t.ExpiresOn.String(), 10, 64)
	if err != nil {
		return nil, errors.New("the managed identity's endpoint did not say how long its token is good")
	}
	return &oauth2.Token{AccessToken: t.AccessToken, Expiry: time.Unix(on, 0)}, nil
}
