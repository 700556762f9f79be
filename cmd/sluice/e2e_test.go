package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sluicegw/sluice/envoy/envoytest"
	"github.com/sluicegw/sluice/envoy/envoytest/provider"
	"github.com/sluicegw/sluice/internal/testtools"
)

// TestScripts runs the scripts of testdata/script: the real binary, the real Envoy, scripted providers.
// testdata/script/README.md lists the commands that they have beside testscript's own. Those of the guide's
// examples are tests of their own.
func TestScripts(t *testing.T) {
	scripts(t, func(name string) bool { return !strings.HasPrefix(name, "guide_") })
}

// The guide's examples, by its names.

func TestGuideCostBasedRouting(t *testing.T)    { guide(t, "cost") }
func TestGuideLatencyBasedRouting(t *testing.T) { guide(t, "latency") }
func TestGuideUsageBasedRouting(t *testing.T)   { guide(t, "usage") }
func TestGuideTagBasedRouting(t *testing.T)     { guide(t, "tags") }
func TestGuideLoadBalancing(t *testing.T)       { guide(t, "balancing") }
func TestGuideFallbackFlow(t *testing.T)        { guide(t, "fallback_flow", "three_steps") }
func TestGuideKeysAndTeams(t *testing.T)        { guide(t, "keys_teams") }

func guide(t *testing.T, names ...string) {
	scripts(t, func(name string) bool {
		own, ok := strings.CutPrefix(name, "guide_")
		return ok && slices.Contains(names, own)
	})
}

// TestGuideIsTested: no script of the guide's is left out.
func TestGuideIsTested(t *testing.T) {
	text, err := os.ReadFile("e2e_test.go")
	if err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob(filepath.Join("testdata", "script", "guide_*.txt"))
	for _, path := range paths {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "guide_"), ".txt")
		if !strings.Contains(string(text), `"`+name+`"`) {
			t.Errorf("%s is run by no test", path)
		}
	}
}

// scripts runs those whose name, without .txt, is chosen.
func scripts(t *testing.T, chosen func(name string) bool) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	all, err := filepath.Glob(filepath.Join("testdata", "script", "*.txt"))
	files := slices.DeleteFunc(all, func(path string) bool {
		return !chosen(strings.TrimSuffix(filepath.Base(path), ".txt"))
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts (%v)", err)
	}
	binary, envoyPath := buildSluice(t), envoytest.Path(t)
	testscript.Run(t, testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			w := &world{t: t, binary: binary, providers: map[string]*provider.Server{}, running: map[string]*process{},
				streams: map[string]*openStream{}, loads: map[string]*load{}}
			env.Values[worldKey{}] = w
			env.Setenv("ENVOY_PATH", envoyPath)
			env.Setenv("TMPDIR", testtools.Dir(t)) // $WORK/.tmp may be too long for the sockets in it
			env.Setenv("SLUICE", binary)
			env.Setenv("LONG", strings.Repeat("A long prompt, word for word. ", 40))
			env.Defer(w.close)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"provider":  command(cmdProvider),
			"answers":   command(cmdAnswers),
			"requests":  command(cmdRequests),
			"left":      command(cmdLeft),
			"sluice":    command(cmdSluice),
			"log":       command(cmdLog),
			"envoy":     command(cmdEnvoy),
			"chat":      command(cmdChat),
			"wait-for":  command(cmdWaitFor),
			"get":       command(cmdGet),
			"api":       command(cmdAPI),
			"api-soon":  command(cmdAPISoon),
			"keep":      command(cmdKeep),
			"postgres":  command(cmdPostgres),
			"litellm":   command(cmdLiteLLM),
			"secret":    command(cmdSecret),
			"unsaid":    command(cmdUnsaid),
			"stream":    command(cmdStream),
			"leave":     command(cmdLeave),
			"load":      command(cmdLoad),
			"shares":    command(cmdShares),
			"cert":      command(cmdCert),
			"shown":     command(cmdShown),
			"authority": command(cmdAuthority),
			"dial":      command(cmdDial),
			"listens":   command(cmdListens),
			"port":      command(cmdPort),
			"edit":      command(cmdEdit),
		},
	})
}

// world is what one script has started.
type world struct {
	t         *testing.T
	answer    string // the last answer of the API
	said      string // all answers to api commands
	postgres  *testtools.Server
	binary    string
	providers map[string]*provider.Server
	running   map[string]*process
	streams   map[string]*openStream
	loads     map[string]*load
	leftAt    time.Time // when the last client left in mid-call
}

type worldKey struct{}

// step is one command of a script.
type step struct {
	*testscript.TestScript
	w    *world
	neg  bool
	args []string
}

func command(run func(*step)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		run(&step{ts, ts.Value(worldKey{}).(*world), neg, args})
	}
}

// next takes the next argument.
func (s *step) next(what string) string {
	if len(s.args) == 0 {
		s.Fatalf("%s is missing", what)
	}
	arg := s.args[0]
	s.args = s.args[1:]
	return arg
}

func (w *world) close() {
	for _, l := range w.loads {
		l.cancel()
	}
	for _, s := range w.streams {
		s.cancel()
	}
	for _, p := range w.running {
		p.kill()
	}
	for _, p := range w.providers {
		p.Close()
	}
}

var built struct {
	sync.Once
	path string
	out  []byte
	err  error
}

// buildSluice builds the binary once for all tests; TestMain removes it.
func buildSluice(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		dir, err := os.MkdirTemp("", "sluice-e2e")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "sluice")
		built.out, built.err = exec.Command("go", "build", "-o", built.path, ".").CombinedOutput()
	})
	if built.err != nil {
		t.Fatalf("building sluice: %v\n%s", built.err, built.out)
	}
	return built.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}
