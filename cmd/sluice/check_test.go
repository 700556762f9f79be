package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the wanted output in testdata/check")

// TestCheck holds the report on each configuration in testdata/check/*.txtar: config.yaml and env in,
// stdout, stderr and the exit status out.
func TestCheck(t *testing.T) {
	paths, err := filepath.Glob("testdata/check/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			for _, f := range a.Files {
				files[f.Name] = string(f.Data)
			}
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(files["config.yaml"]), 0o600); err != nil {
				t.Fatal(err)
			}
			var pairs []string
			for line := range strings.Lines(files["env"]) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				pairs = append(pairs, name, value)
			}
			var stdout, stderr strings.Builder
			status := runCheck(options{command: "check", config: file, explain: strings.TrimSpace(files["explain"])}, &stdout, &stderr, env(pairs...))
			got := map[string]string{
				"stdout": strings.ReplaceAll(stdout.String(), file, "config.yaml"),
				"stderr": strings.ReplaceAll(stderr.String(), file, "config.yaml"),
				"status": string(rune('0'+status)) + "\n",
			}
			if strings.Contains(got["stdout"]+got["stderr"], "SECRET") {
				t.Error("a secret is in the report")
			}
			compare(t, path, a, files, got)
		})
	}
}

func compare(t *testing.T, path string, a *txtar.Archive, want, got map[string]string) {
	t.Helper()
	for _, name := range []string{"stdout", "stderr", "status"} {
		if *update {
			found := false
			for i := range a.Files {
				if a.Files[i].Name == name {
					a.Files[i].Data, found = []byte(got[name]), true
				}
			}
			if !found {
				a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(got[name])})
			}
			continue
		}
		if got[name] != want[name] {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got[name], want[name])
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckExamples(t *testing.T) {
	for _, path := range []string{"../../examples/quickstart.yaml", "../../examples/fallbacks.yaml"} {
		var stdout, stderr strings.Builder
		if status := runCheck(options{config: path}, &stdout, &stderr, env("LITELLM_MASTER_KEY", "sk-x")); status != 0 {
			t.Errorf("%s: status %d\n%s", path, status, stderr.String())
		}
	}
}
