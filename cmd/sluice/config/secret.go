package config

import "fmt"

// Secret is a text that must not be seen: every way of printing it gives "[redacted]". The value itself
// comes only from [Secret.Reveal], so that a search for that name finds each place that needs it.
type Secret string

const redacted = "[redacted]"

// Reveal is the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter: verbs such as %x and %q would otherwise get round String.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText implements encoding.TextMarshaler, which slog and YAML encoders use.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
