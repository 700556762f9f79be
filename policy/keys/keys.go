// Package keys answers one question: whose call is this?
//
// A [Keyring] knows the master key and turns a token into a [Key], or into the error that LiteLLM gives
// for it (https://docs.litellm.ai/docs/proxy/virtual_keys). Callers hold the [Key] for the length of a
// call. Virtual keys, and the teams and users that they belong to, are looked up in a [Directory], which holds
// them all in memory: no call waits for a database. Tokens are kept as sha256 sums only, and appear in no error
// and no log but by their last four characters.
//
// Which models a key may use is [Keyring.Allows]; which paths, [Keyring.Route]. Limits and budgets are carried
// for others to keep.
//
// It leaves alone how much was used and spent, how keys are made, and what the call then does.
package keys

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// MasterHash stands for the master key where other keys show their sum, as in LiteLLM: a sum in metrics
// and logs would let anybody guess a short master key at leisure.
const MasterHash = "litellm_proxy_master_key"

// Options are what a Keyring is made of.
type Options struct {
	Master string // the master key; empty: the ring is open
	// Header is the only header that is read for a key, if it is set: litellm_key_header_name.
	Header string
	// Directory has the virtual keys; nil: there are none.
	Directory *Directory
	// AccessGroups are names for several model groups (model_info.access_groups).
	AccessGroups map[string][]string
	// InferProvider names the provider of a bare model name, so that "openai/*" covers "gpt-4o"; nil: none is known.
	InferProvider func(model string) string
}

// Keyring holds the keys of one configuration. It is immutable and safe for concurrent use.
type Keyring struct {
	o      Options
	sum    sum
	master *Key
}

// anonymous is the caller where no keys are configured: as in LiteLLM, everybody may do everything.
var anonymous = &Key{Role: Admin}

// New makes a keyring with a master key alone. Without one, the ring is open.
func New(master string) *Keyring { return NewRing(Options{Master: master}) }

// NewRing makes a keyring.
func NewRing(o Options) *Keyring {
	o.Header = strings.ToLower(o.Header)
	r := &Keyring{o: o}
	if o.Master != "" {
		r.sum = sha256.Sum256([]byte(o.Master))
		r.master = &Key{Hash: MasterHash, Name: KeyName(o.Master), Role: Admin}
	}
	return r
}

// Open reports whether calls need no key at all.
func (r *Keyring) Open() bool { return r.master == nil }

// IsMaster tells whether a token is the master key.
func (r *Keyring) IsMaster(token string) bool {
	s := sum(sha256.Sum256([]byte(token)))
	return !r.Open() && subtle.ConstantTimeCompare(s[:], r.sum[:]) == 1
}

// Token reads the token of a request; see [FromHeaders].
func (r *Keyring) Token(get func(name string) string) string {
	if r.o.Header != "" {
		return token(strings.TrimSpace(get(r.o.Header)))
	}
	return FromHeaders(get)
}

// Authenticate finds the key of a token, as [Keyring.Token] reads it. Its errors are LiteLLM's: 401, and 503 where
// the store cannot be asked whether there is such a key.
func (r *Keyring) Authenticate(token string) (*Key, *apierror.Error) {
	if r.Open() {
		return anonymous, nil
	}
	if token == "" {
		return nil, unauthenticated("auth_error", "None", "Authentication Error, No api key passed in.")
	}
	// Sums, not tokens, are compared: both sides then have the same length, and what timing could tell
	// would be of the sum. The master key comes first because it alone needs no "sk-".
	s := sum(sha256.Sum256([]byte(token)))
	if subtle.ConstantTimeCompare(s[:], r.sum[:]) == 1 {
		return r.master, nil
	}
	if !strings.HasPrefix(token, "sk-") {
		return nil, unauthenticated("auth_error", "None",
			"LiteLLM Virtual Key expected. Received=%s, expected to start with 'sk-'.", masked(token))
	}
	d := r.o.Directory
	var key *Key
	if d != nil {
		key = d.keys.get(s)
	}
	if key == nil {
		return nil, unknownKey(d, token, s)
	}
	return key, key.refusal(token)
}

// refusal is why a known key is not let in, or nil.
func (k *Key) refusal(token string) *apierror.Error {
	if !k.Expires.IsZero() {
		if now := time.Now(); k.Expired(now) {
			return unauthenticated("expired_key", KeyName(token),
				"Authentication Error - Expired Key. Key Expiry time %s and current time %s", pythonTime(k.Expires), pythonTime(now))
		}
	}
	if k.Blocked {
		return unauthenticated("auth_error", "None", "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.")
	}
	if t := k.Team(); t != nil && t.Blocked {
		return unauthenticated("auth_error", "None", "Authentication Error, Team=%s is blocked. Update via `/team/unblock` if you're an admin.", t.ID)
	}
	return nil
}

// unknownKey is the answer to a token that nobody has. While the store cannot be asked, it may be a key that was
// made elsewhere a moment ago: a client must not take that for a no.
func unknownKey(d *Directory, token string, s sum) *apierror.Error {
	if d != nil && (!d.Loaded() || d.trouble != nil && d.trouble() != nil) {
		return &apierror.Error{
			Kind: apierror.Overloaded, Status: http.StatusServiceUnavailable, Type: "no_db_connection", Param: "None",
			Message:    "Authentication Error, the database cannot be reached, so this key cannot be checked. Try again.",
			RetryAfter: time.Second,
		}
	}
	return unauthenticated("token_not_found_in_db", "key",
		"Authentication Error, Invalid proxy server token passed. Received API Key = %s, Key Hash (Token) =%s. "+
			"Unable to find token in cache or `LiteLLM_VerificationTokenTable`", KeyName(token), hex.EncodeToString(s[:]))
}

// pythonTime writes a time as Python prints one.
func pythonTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000000-07:00") }

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
