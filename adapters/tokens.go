package adapters

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/sluicegw/sluice/internal/apierror"
)

// tokenSource keeps one access token fresh: the first call waits for it, later ones are never kept waiting
// as long as it can be renewed before it ends. Safe for concurrent use.
type tokenSource struct {
	fetch func(context.Context) (*oauth2.Token, error)

	current   atomic.Pointer[oauth2.Token]
	previous  atomic.Pointer[oauth2.Token] // which calls under way were sent with
	renewing  atomic.Bool
	mu        sync.Mutex // held while a call waits for a token
	refusedAt time.Time
	refusal   error
}

// A token is renewed in its last tenth, at most five minutes before its end, and no longer used in its last
// ten seconds. What failed is not tried again for a while.
const (
	tokenAhead  = 5 * time.Minute
	tokenSpare  = 10 * time.Second
	tokenRetry  = 2 * time.Second
	mostSources = 1024
)

var tokenSources = struct {
	sync.Mutex
	known map[[32]byte]*tokenSource
}{known: map[[32]byte]*tokenSource{}}

// tokensOf is the source for credentials with this fingerprint, the same for all deployments that share
// them and after a reload.
func tokensOf(key [32]byte, fetch func(context.Context) (*oauth2.Token, error)) *tokenSource {
	tokenSources.Lock()
	defer tokenSources.Unlock()
	s := tokenSources.known[key]
	if s == nil {
		if len(tokenSources.known) == mostSources {
			clear(tokenSources.known)
		}
		s = &tokenSource{fetch: fetch}
		tokenSources.known[key] = s
	}
	return s
}

// token is a token that is good for the next request.
func (s *tokenSource) token() (string, *apierror.Error) {
	now := clock()
	t := s.current.Load()
	if t != nil && (t.Expiry.IsZero() || now.Before(t.Expiry.Add(-tokenSpare))) {
		if !t.Expiry.IsZero() && now.After(t.Expiry.Add(-tokenAhead)) && s.renewing.CompareAndSwap(false, true) {
			go func() {
				defer s.renewing.Store(false)
				s.mu.Lock()
				defer s.mu.Unlock()
				_ = s.renew() // the next call sees to it if this failed
			}()
		}
		return t.AccessToken, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.current.Load(); u != t && u != nil {
		return u.AccessToken, nil // another call fetched it meanwhile
	}
	if err := s.renew(); err != nil {
		return "", tokenRefused(err)
	}
	return s.current.Load().AccessToken, nil
}

// scrub takes the token, and the one before it, out of a text.
func (s *tokenSource) scrub(text string) string {
	if s == nil {
		return text
	}
	for _, t := range [...]*oauth2.Token{s.current.Load(), s.previous.Load()} {
		if t != nil && t.AccessToken != "" {
			text = strings.ReplaceAll(text, t.AccessToken, "***")
		}
	}
	return text
}

// renew fetches the next token. s.mu is held.
func (s *tokenSource) renew() error {
	if s.refusal != nil && clock().Sub(s.refusedAt) < tokenRetry {
		return s.refusal
	}
	ctx, cancel := context.WithTimeout(context.Background(), tokenTimeout)
	defer cancel()
	t, err := s.fetch(ctx)
	if err == nil && t.AccessToken == "" {
		err = errors.New("the answer holds no token")
	}
	if err == nil {
		err = headerValue(t.AccessToken)
	}
	if s.refusal = err; err != nil {
		s.refusedAt = clock()
		return err
	}
	s.previous.Store(s.current.Swap(t))
	return nil
}

// tokenRefused is the client's error: whose fault it is, without the answer, which may repeat credentials.
func tokenRefused(err error) *apierror.Error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < 500 {
		why := "HTTP " + strconv.Itoa(refused.Response.StatusCode)
		if refused.ErrorCode != "" {
			why = clipText(refused.ErrorCode, 64) + ", " + why
		}
		return apierror.New(apierror.Unauthenticated, http.StatusUnauthorized,
			"The deployment's credentials were refused when a token was asked for (%s).", why)
	}
	if errors.Is(err, errNoCredentials) {
		return apierror.New(apierror.Unauthenticated, http.StatusUnauthorized, "The deployment has no credentials: %s.", errNoCredentials)
	}
	return apierror.New(apierror.Unavailable, http.StatusServiceUnavailable, "No access token could be had for the deployment; try again.")
}
