package seal

import (
	"strings"
	"testing"
)

func TestSeal(t *testing.T) {
	s, err := New("sk-salt-1234")
	if err != nil {
		t.Fatal(err)
	}
	sealed := s.Seal("model/1", []byte("secret"))
	if strings.Contains(sealed, "secret") || sealed == s.Seal("model/1", []byte("secret")) {
		t.Error(sealed)
	}
	if text, err := s.Open("model/1", sealed); err != nil || string(text) != "secret" {
		t.Error(string(text), err)
	}
	other, _ := New("sk-other")
	for _, bad := range []func() ([]byte, error){
		func() ([]byte, error) { return s.Open("model/2", sealed) },
		func() ([]byte, error) { return other.Open("model/1", sealed) },
		func() ([]byte, error) { return s.Open("model/1", sealed[:len(sealed)-1]) },
		func() ([]byte, error) { return s.Open("model/1", "secret") },
		func() ([]byte, error) { return s.Open("model/1", prefix) },
	} {
		if text, err := bad(); err == nil {
			t.Errorf("opened: %q", text)
		}
	}
	if _, err := New(""); err == nil {
		t.Error("no key is a key")
	}
}

// Made by LiteLLM's encrypt_value_helper("sk-provider-secret", new_encryption_key="sk-salt-1234"), and its AES-GCM.
func TestLiteLLMsValues(t *testing.T) {
	s, _ := New("sk-salt-1234")
	for _, sealed := range []string{
		"eDjTtFZqKcWvL-x6S9VPGfOIOV6oRS2NzC6fX2cnMvfQqjIsdgV-WBNM09_2dmebIzu7YIslyeFXhg==",
		"v2:gcm:6UpivZ-InzIh2VJuVwmVD2kIwrcpnre6k2jpAygDBiFbz4azl4RmHm6UKcOAKQ==",
	} {
		if text, err := s.OpenLiteLLM(sealed); err != nil || text != "sk-provider-secret" {
			t.Errorf("%s: %q %v", sealed, text, err)
		}
	}
	for _, bad := range []string{"", "openai/gpt-4o", "v2:gcm:", "eDjTtFZqKcWvL-x6S9VPGfOIOV6oRS2NzC6fX2cnMvfQqjIsdgV-WBNM09_2dmebIzu7YIslyeFXhG=="} {
		if text, err := s.OpenLiteLLM(bad); err == nil {
			t.Errorf("%q is opened: %q", bad, text)
		}
	}
}
