// Package keys answers one question: whose call is this?
//
// A [Keyring] knows the master key and turns a token into a [Key], or into the error that LiteLLM gives
// for it (https://docs.litellm.ai/docs/proxy/virtual_keys). Callers hold the [Key] for the length of a
// call and ask it which models it may use. Tokens are kept as sha256 sums only, and appear in no error
// and no log but by their last four characters.
//
// It leaves alone budgets, rate limits and teams, and what the call then does.
package keys

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// Role is what a key may do besides calling models.
type Role string

// The roles of LiteLLM that are in use.
const (
	Admin Role = "proxy_admin"
	User  Role = "internal_user"
)

// MasterHash stands for the master key where other keys show their sum, as in LiteLLM: a sum in metrics
// and logs would let anybody guess a short master key at leisure.
const MasterHash = "litellm_proxy_master_key"

// Key is who makes a call. It is immutable and shared by all calls of the key.
type Key struct {
	Hash  string // sha256 of the token in hex, or [MasterHash]; empty without keys
	Name  string // key_name: "sk-...last4"; empty without keys
	Alias string // key_alias; may be empty
	Role  Role

	// Models are what the key may use: group names, patterns such as "openai/*", or "all-proxy-models".
	// Empty: everything.
	Models []string
}

// IsAdmin reports whether the key may use the admin API.
func (k *Key) IsAdmin() bool { return k.Role == Admin }

// AllowsModel reports whether the key may use a model, by the name it was asked for or by its group.
func (k *Key) AllowsModel(model string) bool {
	if len(k.Models) == 0 {
		return true
	}
	for _, m := range k.Models {
		if m == model || m == "all-proxy-models" || m == "*" || matches(m, model) {
			return true
		}
	}
	return false
}

// matches is for patterns with stars: each stands for any text.
func matches(pattern, model string) bool {
	prefix, rest, ok := strings.Cut(pattern, "*")
	if !ok || !strings.HasPrefix(model, prefix) {
		return false
	}
	model = model[len(prefix):]
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star { // the last part has to end the name
			return strings.HasSuffix(model, part)
		}
		i := strings.Index(model, part)
		if i < 0 {
			return false
		}
		model, rest = model[i+len(part):], more
	}
}

// Keyring holds the keys of one configuration. It is immutable and safe for concurrent use.
type Keyring struct {
	sum    [sha256.Size]byte
	master *Key
	open   bool
}

// anonymous is the caller where no keys are configured: as in LiteLLM, everybody may do everything.
var anonymous = &Key{Role: Admin}

// New makes a keyring with a master key. Without one, the ring is open.
func New(master string) *Keyring {
	if master == "" {
		return &Keyring{open: true}
	}
	return &Keyring{
		sum:    sha256.Sum256([]byte(master)),
		master: &Key{Hash: MasterHash, Name: KeyName(master), Role: Admin},
	}
}

// Open reports whether calls need no key at all.
func (r *Keyring) Open() bool { return r.open }

// Authenticate finds the key of a token, as [FromHeaders] reads it. Its errors are LiteLLM's, all 401.
func (r *Keyring) Authenticate(token string) (*Key, *apierror.Error) {
	if r.open {
		return anonymous, nil
	}
	if token == "" {
		return nil, unauthenticated("auth_error", "None", "Authentication Error, No api key passed in.")
	}
	// Sums, not tokens, are compared: both sides then have the same length, and what timing could tell
	// would be of the sum. The master key comes first because it alone needs no "sk-".
	sum := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(sum[:], r.sum[:]) == 1 {
		return r.master, nil
	}
	if !strings.HasPrefix(token, "sk-") {
		return nil, unauthenticated("auth_error", "None",
			"LiteLLM Virtual Key expected. Received=%s, expected to start with 'sk-'.", masked(token))
	}
	return nil, unauthenticated("token_not_found_in_db", "key",
		"Authentication Error, Invalid proxy server token passed. Received API Key = %s, Key Hash (Token) =%s. "+
			"Unable to find token in cache or `LiteLLM_VerificationTokenTable`", KeyName(token), hex.EncodeToString(sum[:]))
}

func unauthenticated(typ, param, format string, args ...any) *apierror.Error {
	return &apierror.Error{
		Kind: apierror.Unauthenticated, Status: http.StatusUnauthorized, Type: typ, Param: param,
		Message: fmt.Sprintf(format, args...),
	}
}

// Hash is a token at rest: its sha256 sum in hex.
func Hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// KeyName is LiteLLM's key_name, "sk-...last4". Short tokens show nothing of themselves.
func KeyName(token string) string {
	const shortest = 16 // the least that LiteLLM takes for a custom key
	if len(token) < shortest {
		return "sk-..."
	}
	return "sk-..." + printable(token[len(token)-4:])
}

// masked shows the ends of a token that is no key of ours, if they are a small part of it. LiteLLM shows
// eight characters of nine; what a client sent by mistake may be another service's secret.
func masked(token string) string {
	if len(token) < 24 {
		return "****"
	}
	return printable(token[:4]) + "****" + printable(token[len(token)-4:])
}

// printable keeps a token's bytes from spoiling an error or a log line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '.'
		}
		return r
	}, s)
}
