// Package seal keeps secrets unreadable at rest: under a key that comes from the environment, never from where the
// sealed text is.
//
// New texts are AES-256-GCM, bound to what they belong to. What LiteLLM has sealed with the same key is opened, too:
// its XSalsa20-Poly1305 of PyNaCl, and its AES-GCM (proxy/common_utils/encrypt_decrypt_utils.py).
//
// It decides neither what is secret nor where the key comes from.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/crypto/nacl/secretbox"
)

// prefix marks what this package has sealed, litellmGCM what a newer LiteLLM has; its older texts have no mark.
const (
	prefix     = "sluice1:"
	litellmGCM = "v2:gcm:"
)

// ErrKey is a text that another key has sealed, or that was changed.
var ErrKey = errors.New("the key does not open it: it was sealed with another, or changed")

// Sealer seals and opens with one key. It is immutable.
type Sealer struct {
	own     cipher.AEAD
	litellm [32]byte // as LiteLLM derives it
}

// New makes a sealer; the key is a secret of any length, such as LITELLM_SALT_KEY.
func New(key string) (*Sealer, error) {
	if key == "" {
		return nil, errors.New("there is no key to seal secrets with")
	}
	derived, err := hkdf.Key(sha256.New, []byte(key), nil, "sluice sealed secrets 1", 32)
	if err != nil {
		return nil, err
	}
	own, err := gcm(derived)
	if err != nil {
		return nil, err
	}
	return &Sealer{own: own, litellm: sha256.Sum256([]byte(key))}, nil
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Seal seals a text that belongs to what: only Open with the same what opens it, so that one object's secret cannot
// be put into another's place.
func (s *Sealer) Seal(what string, text []byte) string {
	nonce := make([]byte, s.own.NonceSize(), s.own.NonceSize()+len(text)+s.own.Overhead())
	_, _ = rand.Read(nonce) // it never fails
	return prefix + base64.RawURLEncoding.EncodeToString(s.own.Seal(nonce, nonce, text, []byte(what)))
}

// Open is the text that Seal was given.
func (s *Sealer) Open(what, sealed string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, prefix)
	if !ok {
		return nil, ErrKey
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, ErrKey
	}
	return open(s.own, b, []byte(what))
}

func open(aead cipher.AEAD, b, extra []byte) ([]byte, error) {
	n := aead.NonceSize()
	if len(b) < n {
		return nil, ErrKey
	}
	text, err := aead.Open(nil, b[:n], b[n:], extra)
	if err != nil {
		return nil, ErrKey
	}
	return text, nil
}

// OpenLiteLLM opens a value of LiteLLM's database.
func (s *Sealer) OpenLiteLLM(sealed string) (string, error) {
	if rest, ok := strings.CutPrefix(sealed, litellmGCM); ok {
		b, err := decode(rest)
		if err != nil {
			return "", ErrKey
		}
		aead, err := gcm(s.litellm[:])
		if err != nil {
			return "", err
		}
		text, err := open(aead, b, nil)
		return string(text), err
	}
	b, err := decode(sealed)
	if err != nil || len(b) < 24 {
		return "", ErrKey
	}
	nonce := [24]byte(b[:24])
	text, ok := secretbox.Open(nil, b[24:], &nonce, &s.litellm)
	if !ok {
		return "", ErrKey
	}
	return string(text), nil
}

// decode reads base64 as LiteLLM wrote it over the years: with either alphabet, with or without padding.
func decode(s string) ([]byte, error) {
	s = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
	return base64.RawURLEncoding.DecodeString(s)
}

// LooksLiteLLM tells texts that LiteLLM may have sealed: base64 of a nonce, a tag and something.
func LooksLiteLLM(s string) bool {
	if strings.HasPrefix(s, litellmGCM) {
		return true
	}
	b, err := decode(s)
	return err == nil && len(b) >= 24+secretbox.Overhead && len(s)%4 == 0
}
