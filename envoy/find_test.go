package envoy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/envoy"
)

// fake writes a program that answers --version with text.
func fake(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "envoy")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+text+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	good := fake(t, filepath.Join(dir, "good"), "envoy  version: abc/1.40.0/Clean/RELEASE/BoringSSL")
	newer := fake(t, filepath.Join(dir, "newer"), "envoy  version: abc/2.0.1-dev/Clean/RELEASE/BoringSSL")
	old := fake(t, filepath.Join(dir, "old"), "envoy  version: abc/1.39.9/Clean/RELEASE/BoringSSL")
	odd := fake(t, filepath.Join(dir, "odd"), "something else")
	tools := fake(t, filepath.Join(dir, "wd", ".tools"), "envoy  version: abc/1.41.0/Clean/RELEASE/BoringSSL")
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		explicit, env, path, wd string
		want, from              string
		wantErr                 []string
	}{
		"flag":                       {explicit: good, env: newer, path: newer, want: good, from: "the --envoy-path flag"},
		"flag too old, no second":    {explicit: old, env: newer, path: newer, wantErr: []string{old, "1.39.9", "older than 1.40.0", "--envoy-path"}},
		"flag to nowhere":            {explicit: "/no/envoy", path: newer, wantErr: []string{"/no/envoy", "no such file"}},
		"flag to a folder":           {explicit: dir, wantErr: []string{"is a directory"}},
		"environment":                {env: newer, path: good, want: newer, from: "ENVOY_PATH"},
		"environment is not Envoy":   {env: odd, path: good, wantErr: []string{"ENVOY_PATH", "no Envoy version", "something else"}},
		"PATH":                       {path: good, want: good, from: "PATH"},
		"PATH too old, tools folder": {path: old, wd: filepath.Join(dir, "wd"), want: tools, from: "the tools folder"},
		"PATH too old, nothing else": {path: old, wantErr: []string{old, "1.39.9", "make tools"}},
		"nowhere":                    {wantErr: []string{"no Envoy on PATH", "make tools", "ENVOY_PATH"}},
	} {
		t.Run(name, func(t *testing.T) {
			wd := tt.wd
			if wd == "" {
				wd = empty
			}
			t.Chdir(wd)
			b, err := envoy.Find(t.Context(), tt.explicit,
				func(name string) string {
					if name == "ENVOY_PATH" {
						return tt.env
					}
					return ""
				},
				func(string) (string, error) {
					if tt.path == "" {
						return "", errors.New("not found")
					}
					return tt.path, nil
				})
			if len(tt.wantErr) > 0 {
				for _, want := range tt.wantErr {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("error %v, want one with %q", err, want)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b.Path != tt.want || b.From != tt.from {
				t.Errorf("found %s from %s, want %s from %s", b.Path, b.From, tt.want, tt.from)
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]string{
		"\nenvoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL\n\n":  "1.40.0",
		"/opt/envoy  version: 0/1.41.2-dev/Modified/DEBUG/BoringSSL": "1.41.2",
		"9e55/1.40.0/Clean/RELEASE/BoringSSL":                        "1.40.0",
		"1.40.0":                                                     "1.40.0",
		"":                                                           "",
		"version: ":                                                  "",
		"a/1.40/Clean":                                               "",
		"a/1.-4.0/Clean":                                             "",
		"a/1.x.0/Clean":                                              "",
	} {
		v, err := envoy.ParseVersion(text)
		if want == "" && err == nil || want != "" && (err != nil || v.String() != want) {
			t.Errorf("%q: %v, %v; want %q", text, v, err, want)
		}
	}
}

func TestVersionLess(t *testing.T) {
	ordered := []envoy.Version{{1, 9, 9}, {1, 40, 0}, {1, 40, 1}, {2, 0, 0}}
	for i, v := range ordered {
		for j, w := range ordered {
			if v.Less(w) != (i < j) {
				t.Errorf("%s < %s is %v", v, w, v.Less(w))
			}
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := envoy.ParseVersion(text)
		if err != nil {
			return
		}
		if again, err := envoy.ParseVersion(v.String()); err != nil || again != v {
			t.Errorf("%q: %v, then %v (%v)", text, v, again, err)
		}
	})
}
