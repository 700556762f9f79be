package sluice_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/cmd/sluice/config"
)

var update = flag.Bool("update", false, "copy the benchmark's tables into README.md")

// documents are all Markdown files of the repository, with their text. What begins with a dot is not its own.
func documents(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && len(path) > 1 && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		out[filepath.ToSlash(path)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 5 {
		t.Fatalf("only %d documents were found", len(out))
	}
	return out
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fence   = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	target  = regexp.MustCompile("(?m)(?:^|`|\\$ )make ([a-z]+)")
	flagged = regexp.MustCompile(`--([a-z][a-z0-9_-]+)`)
)

// TestLinks follows every link that leads to a file, and the headings that they name.
func TestLinks(t *testing.T) {
	docs := documents(t)
	followed := 0
	for path, text := range docs {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			followed++
			file := path
			if to != "" {
				file = filepath.Join(filepath.Dir(path), to)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: the link %s leads nowhere", path, m[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(docs[filepath.ToSlash(file)]), anchor) {
				t.Errorf("%s: the link %s names no heading of %s", path, m[1], file)
			}
		}
	}
	if followed == 0 {
		t.Error("no link was found")
	}
}

// anchors are the names that GitHub gives to headings.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		out = append(out, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= 'a' && r <= 'z', r >= '0' && r <= '9', r > 0x7f:
				return r
			}
			return -1
		}, strings.ToLower(m[1])))
	}
	return out
}

// TestMakeTargets makes sure that every make target that a document names exists.
func TestMakeTargets(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for path, text := range documents(t) {
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			named++
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s names `make %s`, which is no target", path, m[1])
			}
		}
	}
	if named == 0 {
		t.Error("no make target was found")
	}
}

// TestConfigExamples loads every YAML example, and every file of examples/, as sluice would: none has a
// fault, or a setting without effect.
func TestConfigExamples(t *testing.T) {
	examples := map[string]string{}
	for path, text := range documents(t) {
		for i, m := range fence.FindAllStringSubmatch(text, -1) {
			if m[1] == "yaml" {
				examples[fmt.Sprintf("%s block %d", path, i+1)] = m[2]
			}
		}
	}
	files, err := filepath.Glob("examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		examples[f] = string(text)
	}
	env := func(string) (string, bool) { return "sk-of-the-environment", true }
	for name, text := range examples {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(file, env)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for _, w := range c.Warnings {
				if strings.Contains(w.Message, "no effect") || strings.Contains(w.Message, "not built") || strings.Contains(w.Message, "not known") {
					t.Errorf("%v\n%s", w, text)
				}
			}
		})
	}
}

// TestSettingsAreDocumented holds docs/configuration.md against the help text's flags and the settings
// that config warns of because nothing acts on them yet.
func TestSettingsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	help, err := os.ReadFile("cmd/sluice/cli_help.go")
	if err != nil {
		t.Fatal(err)
	}
	own, _, _ := strings.Cut(string(help), "\nIn flag names ") // what follows is LiteLLM's
	flags := flagged.FindAllStringSubmatch(own, -1)
	if len(flags) < 10 {
		t.Fatalf("only %d flags were found in the help text", len(flags))
	}
	for _, m := range flags {
		if !strings.Contains(string(text), "`--"+m[1]) {
			t.Errorf("docs/configuration.md says nothing of --%s", m[1])
		}
	}
	known, err := os.ReadFile("cmd/sluice/config/known.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(known), "var parsedOnly = ")
	list, _, _ = strings.Cut(list, "\n}")
	_, section, _ := strings.Cut(string(text), "\n## Known, without effect yet\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile(`(?m)^\t"([a-z_]+)":`).FindAllStringSubmatch(list, -1) {
		if !strings.Contains(section, "`"+m[1]+"`") {
			t.Errorf("docs/configuration.md does not list %s among the settings without effect", m[1])
		}
	}
}

const benchBegin, benchEnd = "<!-- bench:begin -->\n", "<!-- bench:end -->"

// TestBenchmark makes sure that README.md has the benchmark's last figures; with -update it copies them.
func TestBenchmark(t *testing.T) {
	results, err := os.ReadFile("bench/RESULTS.md")
	if os.IsNotExist(err) {
		t.Skip("`make bench` has not run")
	}
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(readme), benchBegin)
	have, after, ok2 := strings.Cut(rest, benchEnd)
	if !ok || !ok2 {
		t.Fatalf("README.md has no place for the benchmark, between %s and %s", strings.TrimSpace(benchBegin), benchEnd)
	}
	want := figures(string(results))
	switch {
	case want == have:
	case *update:
		if err := os.WriteFile("README.md", []byte(before+benchBegin+want+benchEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("README.md does not have the figures of bench/RESULTS.md: run go test -run TestBenchmark . -update")
	}
}

// figures are the parts of the results that a reader of README.md looks for: where they come from, the
// processor time, LiteLLM's beside it, and the added time.
func figures(results string) string {
	parts := strings.Split(results, "\n## ")
	_, intro, _ := strings.Cut(parts[0], "\n\n")
	out := strings.TrimSpace(intro)
	for _, p := range parts[1:] {
		if strings.HasPrefix(p, "Processor time") || strings.HasPrefix(p, "Beside LiteLLM") || strings.HasPrefix(p, "Time\n") {
			out += "\n\n### " + strings.TrimSpace(p)
		}
	}
	return out + "\n\n"
}
