package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRefuses(t *testing.T) {
	script := filepath.Join(t.TempDir(), "rules.json")
	if err := os.WriteFile(script, []byte(`[{"replies":[{"end":"explode"}]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"address":  {[]string{"--listen", "nowhere"}, "nowhere"},
		"script":   {[]string{"--listen", "127.0.0.1:0", "--script", script}, "rules.json: provider script: rule 1, reply 1"},
		"no file":  {[]string{"--listen", "127.0.0.1:0", "--script", "/no/file"}, "/no/file"},
		"negative": {[]string{"--events", "-1"}, "must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	d := defaults(3, 50, time.Second, time.Millisecond)
	// The role, three texts, the reason to stop, the usage, [DONE].
	if n := len(d.ChatStream.Chunks); n != 7 {
		t.Errorf("%d events", n)
	}
	if time.Duration(d.ChatStream.Delay) != time.Second || time.Duration(d.ChatStream.Chunks[1].After) != time.Millisecond {
		t.Error("the waits are lost")
	}
}
