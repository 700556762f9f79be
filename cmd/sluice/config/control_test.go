package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNamesWithControlCharactersAreFaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "model_list:\n  - model_name: \"a\\nb\"\n    litellm_params: {model: openai/x, api_key: k}\n    model_info: {id: \"c\\rd\"}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, nil)
	if err == nil || !strings.Contains(err.Error(), "model_name") || !strings.Contains(err.Error(), "model_info.id") {
		t.Errorf("error %v names not both", err)
	}
}
