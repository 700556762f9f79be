package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the want sections of testdata/*.txtar")

// caseEnv reads "NAME=value" lines.
func caseEnv(data string) func(string) (string, bool) {
	env := map[string]string{}
	for line := range strings.Lines(data) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			env[name] = value
		}
	}
	return func(name string) (string, bool) {
		s, ok := env[name]
		return s, ok
	}
}

// loadArchive loads config.yaml out of files.
func loadArchive(files map[string]string, env func(string) (string, bool)) (*Config, error) {
	read := func(path string) ([]byte, error) {
		if s, ok := files[filepath.ToSlash(path)]; ok {
			return []byte(s), nil
		}
		return nil, fmt.Errorf("cannot be read: %s: no such file", path)
	}
	exists := func(path string) bool { _, ok := files[filepath.ToSlash(path)]; return ok }
	return load("config.yaml", read, exists, env)
}

// TestMessages holds what the reader says to each configuration in testdata/*.txtar: faults first, then
// warnings, each with its file and line.
func TestMessages(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases in testdata (%v)", err)
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
			want, env := files["want"], caseEnv(files["env"])
			delete(files, "want")
			delete(files, "env")
			c, err := loadArchive(files, env)
			var got strings.Builder
			if err != nil {
				if _, ok := errors.AsType[Faults](err); !ok {
					t.Fatalf("the error is %T, not Faults: %v", err, err)
				}
				fmt.Fprintf(&got, "%s\n", strings.ReplaceAll("fault "+err.Error(), "\n", "\nfault "))
			}
			for _, w := range c.Warnings {
				fmt.Fprintf(&got, "warning %s\n", w)
			}
			if strings.Contains(got.String(), "SECRET") {
				t.Errorf("a secret is in the messages:\n%s", got.String())
			}
			if *update {
				rewrite(t, path, a, got.String())
				return
			}
			if got.String() != want {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
}

func rewrite(t *testing.T, path string, a *txtar.Archive, got string) {
	t.Helper()
	for i := range a.Files {
		if a.Files[i].Name == "want" {
			a.Files[i].Data = []byte(got)
			if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	a.Files = append(a.Files, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t *testing.T, yaml string, env string) *Config {
	t.Helper()
	c, err := loadArchive(map[string]string{"config.yaml": yaml}, caseEnv(env))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

const allKeys = "OPENAI_API_KEY=k1\nANTHROPIC_API_KEY=k2\nGEMINI_API_KEY=k3\nAZURE_API_KEY=k4\n" +
	"AWS_ACCESS_KEY_ID=k5\nAWS_SECRET_ACCESS_KEY=k6\nLITELLM_MASTER_KEY=sk-master\nDATABASE_URL=postgres://x"

func TestGuideAndProduction(t *testing.T) {
	for _, tt := range []struct {
		file, env  string
		fails      bool
		groups     int
		inService  int // of those in model_list
		hidden     int
		guardrails int
	}{
		{"guide.yaml", allKeys, false, 8, 8, 2, 0},
		{"guide.yaml", "", false, 8, 3, 2, 0},
		{"production.yaml", allKeys, false, 4, 6, 0, 1},
		{"production.yaml", "", true, 4, 0, 0, 1},
		{"production.yaml", "LITELLM_MASTER_KEY=sk-m", false, 4, 0, 0, 1},
	} {
		c, err := Load(filepath.Join("testdata", tt.file), caseEnv(tt.env))
		if (err != nil) != tt.fails {
			t.Errorf("%s: error %v", tt.file, err)
		}
		inService, hidden := 0, 0
		for i := range c.Deployments {
			switch d := &c.Deployments[i]; {
			case d.Hidden:
				hidden++
			case d.Unusable == "":
				inService++
			}
		}
		if len(c.Groups()) != tt.groups || inService != tt.inService || hidden != tt.hidden || len(c.Guardrails) != tt.guardrails {
			t.Errorf("%s: %d groups, %d in service, %d hidden, %d guardrails; want %+v", tt.file, len(c.Groups()), inService, hidden, len(c.Guardrails), tt)
		}
	}
}

func TestLoadFromDisk(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil)
	if err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("a missing file: %v", err)
	}
	if _, err = Load(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, []byte("a: "+strings.Repeat("x", maxFileBytes)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Load(big, nil); err == nil || !strings.Contains(err.Error(), "10 MiB") {
		t.Errorf("a large file: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.*")
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if filepath.Ext(path) == ".txtar" {
			for _, file := range txtar.Parse(data).Files {
				f.Add(file.Data)
			}
			continue
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [*a]\n<<: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := loadArchive(map[string]string{"config.yaml": string(data)}, caseEnv(allKeys))
		if c == nil {
			t.Fatal("no Config")
		}
		if err != nil {
			return
		}
		ids := map[string]bool{}
		for i := range c.Deployments {
			if d := &c.Deployments[i]; ids[d.ID] || d.ID == "" || d.Group == "" {
				t.Fatalf("deployment without a distinct id or a group: %+v", d)
			} else {
				ids[d.ID] = true
			}
		}
	})
}

// TestExamples keeps the examples free of faults, and of warnings other than the missing keys.
func TestExamples(t *testing.T) {
	paths, err := filepath.Glob("../../../examples/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples (%v)", err)
	}
	for _, path := range paths {
		c, err := Load(path, caseEnv("LITELLM_MASTER_KEY=sk-master"))
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, w := range c.Warnings {
			if !strings.Contains(w.Message, "is out of service") {
				t.Errorf("%s", w)
			}
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var y strings.Builder
			y.WriteString("litellm_settings:\n  fallbacks:\n")
			for i := range n {
				fmt.Fprintf(&y, "    - group-%d: [group-%d]\n", i, (i+1)%n)
			}
			y.WriteString("model_list:\n")
			for i := range n {
				fmt.Fprintf(&y, "  - model_name: group-%d\n    litellm_params:\n      model: openai/gpt-4o\n      api_key: os.environ/K\n      rpm: %d\n", i, i)
			}
			files, env := map[string]string{"config.yaml": y.String()}, caseEnv("K=k")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := loadArchive(files, env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
