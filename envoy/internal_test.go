package envoy

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLogPipe(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"levels":        {"info|main|a\nwarning|config|b|c\ncritical|assert|d\n", "INFO a main; WARN b|c config; ERROR d assert"},
		"not Envoy's":   {"terminate called\n|x\nodd|a|b\n", "WARN terminate called; WARN |x; WARN odd|a|b"},
		"noise":         {"warning|main|caught ENVOY_SIGTERM\n", "DEBUG caught ENVOY_SIGTERM main"},
		"empty lines":   {"\n\r\n  \nerror|x|y\r\n", "ERROR y x"},
		"no end":        {"info|main|unfinished", ""},
		"over the size": {"info|m|" + strings.Repeat("x", maxLogLine) + "\n", "INFO " + strings.Repeat("x", maxLogLine-len("info|m|")) + " m; WARN xxxxxxx"},
	} {
		for _, cut := range []int{1, 7, 1 << 20} {
			var out bytes.Buffer
			handler := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})
			p := &logPipe{log: slog.New(handler)}
			for in := []byte(tt.in); len(in) > 0; {
				n := min(cut, len(in))
				if wrote, err := p.Write(in[:n]); wrote != n || err != nil {
					t.Fatal(wrote, err)
				}
				in = in[n:]
			}
			if got := summary(out.String()); got != tt.want {
				t.Errorf("%s, cut at %d: got %.200s\nwant %.200s", name, cut, got, tt.want)
			}
		}
	}
}

// summary reduces slog's text to level, message and logger.
func summary(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), "level=")
		line = strings.NewReplacer(`msg=`, "", `logger=`, "", `"`, "").Replace(line)
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

func TestLastWordsAreBounded(t *testing.T) {
	p := &logPipe{log: slog.New(slog.DiscardHandler)}
	for range 1000 {
		_, _ = p.Write([]byte("error|x|" + strings.Repeat("y", 10_000) + "\n"))
	}
	if got, most := len(p.last()), lastWords*(maxLastWord+2); got > most || got < maxLastWord {
		t.Errorf("%d bytes kept, want at most %d", got, most)
	}
}

// TestCrashDump: what Envoy shows of the requests under way when it crashes is in no log and no error.
func TestCrashDump(t *testing.T) {
	var out strings.Builder
	p := &logPipe{log: slog.New(slog.NewTextHandler(&out, nil))}
	_, _ = p.Write([]byte("unformed before\ncritical|backtrace|Caught Segmentation fault, suspect faulting address 0x0\n" +
		"critical|backtrace|#0: [0x7f]\nActiveStream 0x12\n    'authorization', 'Bearer hush'\n" +
		"slice contents: \"" + strings.Repeat("x", maxLogLine-17) + "error|x|hush\"\nwarning|main|still alive\n"))
	for _, text := range []string{out.String(), p.last()} {
		if strings.Contains(text, "hush") || strings.Contains(text, "slice") {
			t.Errorf("the dump is shown: %.2000s", text)
		}
		for _, want := range []string{"unformed before", "Segmentation fault", "#0: ", "still alive"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %.2000s", want, text)
			}
		}
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	var got []time.Duration
	for range 12 {
		got = append(got, b.next(time.Second, 1))
	}
	if got[0] != firstBackoff || got[1] != 2*firstBackoff || got[11] != maxBackoff {
		t.Errorf("pauses %v", got)
	}
	for range 10_000 {
		if pause := b.next(0, 0); pause != maxBackoff/2 {
			t.Fatalf("pause %v", pause)
		}
	}
	if pause := b.next(healthyAfter, 1); pause != firstBackoff {
		t.Errorf("after a healthy minute: %v", pause)
	}
}

func TestMemoryLimit(t *testing.T) {
	const meminfo = "MemTotal:       16777216 kB\nMemFree: 1 kB\n"
	for name, tt := range map[string]struct {
		files map[string]string
		want  uint64
	}{
		"machine":             {map[string]string{"proc/meminfo": meminfo}, 16 << 30},
		"container":           {map[string]string{"proc/meminfo": meminfo, "sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30},
		"no limit":            {map[string]string{"proc/meminfo": meminfo, "sys/fs/cgroup/memory.max": "max\n"}, 16 << 30},
		"version 1":           {map[string]string{"proc/meminfo": meminfo, "sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648\n"}, 2 << 30},
		"version 1, no limit": {map[string]string{"proc/meminfo": meminfo, "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 16 << 30},
		"a group above": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max": "3221225472\n", "sys/fs/cgroup/a/b/memory.max": "max\n",
		}, 3 << 30},
		"a unit of systemd, version 1": {map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "garbage\n9:memory:/u\n3:cpu:/v\n",
			"sys/fs/cgroup/memory/u/memory.limit_in_bytes": "4294967296\n",
		}, 4 << 30},
		"unknown":  {nil, fallbackMemory},
		"nonsense": {map[string]string{"proc/meminfo": "MemTotal:\n", "sys/fs/cgroup/memory.max": "x"}, fallbackMemory},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for path, text := range tt.files {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := memoryLimit(root); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestEnvironmentHoldsNoKeys(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-secret")
	for _, entry := range environment() {
		if strings.Contains(entry, "secret") {
			t.Errorf("Envoy inherits %s", entry[:strings.Index(entry, "=")])
		}
	}
}
