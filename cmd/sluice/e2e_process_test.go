package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a script waits for what must happen, on a machine that is busy with other tests.
const patience = 30 * time.Second

// process is one started sluice, or an Envoy that joins one.
type process struct {
	cmd    *exec.Cmd
	out    transcript // standard output
	log    transcript // standard error
	ended  chan struct{}
	err    error
	url    string
	envoys []int
}

// transcript is a log that is read while it is written.
type transcript struct {
	mu   sync.Mutex
	text []byte
	read int // up to here scripts have read it
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	return len(b), nil
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// take finds re behind what was taken before, and takes everything up to it.
func (t *transcript) take(re *regexp.Regexp) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := re.FindIndex(t.text[t.read:])
	if found == nil {
		return false
	}
	t.read += found[1]
	return true
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// instance takes an argument @NAME off, and gives the sluice of that name.
func (s *step) instance() (string, *process) {
	name := "main"
	if len(s.args) > 0 && strings.HasPrefix(s.args[0], "@") {
		name, s.args = s.args[0][1:], s.args[1:]
	}
	return name, s.w.running[name]
}

func (s *step) mustRun() *process {
	name, p := s.instance()
	if p == nil {
		s.Fatalf("there is no sluice %q: start it first", name)
	}
	return p
}

// cmdSluice: sluice start|launch|stop|kill|hup|term|wait [@NAME] [FLAGS…]
//
// start runs sluice on a free port ($PORT, or $PORT_NAME) with config.yaml, or the flags' own, and waits
// until it is ready ($PID, or $PID_NAME, is its process); "! sluice start" expects that it ends instead, with its words in stderr. launch does
// not wait. stop is SIGTERM and waits for a good end; wait waits for that alone.
func cmdSluice(s *step) {
	verb := s.next("start, launch, stop, kill, hup, term or wait")
	switch verb {
	case "start", "launch":
		s.start(verb == "start")
	case "stop", "wait", "term":
		p := s.mustRun()
		if verb != "wait" {
			s.Check(p.cmd.Process.Signal(syscall.SIGTERM))
		}
		if verb != "term" {
			s.awaitEnd(p)
		}
	case "kill":
		p := s.mustRun()
		p.envoys = children(p.cmd.Process.Pid)
		p.kill()
	case "hup":
		s.Check(s.mustRun().cmd.Process.Signal(syscall.SIGHUP))
	default:
		s.Fatalf("sluice %s: there is no such command", verb)
	}
}

func (s *step) awaitEnd(p *process) {
	select {
	case <-p.ended:
	case <-time.After(patience):
		s.Fatalf("sluice has not ended:\n%s", p.log.String())
	}
	fmt.Fprint(s.Stderr(), p.log.String())
	if (p.err != nil) != s.neg {
		s.Fatalf("sluice ended with %v:\n%s", p.err, p.log.String())
	}
}

func (s *step) start(wait bool) {
	name, old := s.instance()
	if old != nil {
		old.kill()
	}
	variable := "PORT"
	if name != "main" {
		variable += "_" + name
	}
	port := s.Getenv(variable)
	if port == "" {
		port = strconv.Itoa(s.freePort())
		s.Setenv(variable, port)
	}
	args := s.args
	if !slices.ContainsFunc(args, func(a string) bool { return a == "-c" || a == "--config" }) {
		args = append(args, "-c", "config.yaml")
	}
	if !slices.Contains(args, "--port") {
		args = append(args, "--port", port)
	}
	scheme := "http"
	if slices.Contains(args, "--ssl_certfile_path") {
		scheme = "https"
	}
	p := s.spawn(s.w.binary, args)
	p.url = scheme + "://127.0.0.1:" + port
	s.w.running[name] = p
	s.Setenv(strings.Replace(variable, "PORT", "PID", 1), strconv.Itoa(p.cmd.Process.Pid))
	switch {
	case s.neg:
		s.awaitEnd(p)
	case wait:
		s.awaitReady(p)
	}
}

func (s *step) spawn(binary string, args []string) *process {
	p := &process{cmd: exec.Command(binary, args...), ended: make(chan struct{})}
	p.cmd.Dir = s.MkAbs(".")
	p.cmd.Env = s.environment()
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.WaitDelay = 5 * time.Second
	s.Check(p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	s.Defer(func() { s.Logf("log of %s:\n%s", strings.Join(p.cmd.Args, " "), p.log.String()) })
	return p
}

var environRef = regexp.MustCompile(`os\.environ/(\w+)`)

// environment is what the configurations of the script ask for, and nothing else of the machine's.
func (s *step) environment() []string {
	names := []string{"PATH", "HOME", "TMPDIR", "ENVOY_PATH", "LITELLM_MASTER_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY",
		"OPENAI_API_BASE", "ANTHROPIC_API_BASE", "CONFIG_FILE_PATH", "SSL_CERT_FILE", "DATABASE_URL", "LITELLM_SALT_KEY", "SLUICE_DATA_DIR"}
	files, _ := filepath.Glob(s.MkAbs("*.yaml")) // the pattern is well formed
	for _, file := range files {
		text, err := os.ReadFile(file)
		s.Check(err)
		for _, found := range environRef.FindAllSubmatch(text, -1) {
			names = append(names, string(found[1]))
		}
	}
	env := []string{"XDG_STATE_HOME=" + s.MkAbs("state")}
	for _, name := range names {
		if value := s.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func (s *step) awaitReady(p *process) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.ended:
			s.Fatalf("sluice ended (%v):\n%s", p.err, p.log.String())
		default:
		}
		if got, err := fetch("GET", p.url+"/health/readiness", "", nil); err == nil && got.status == 200 {
			return
		}
	}
	s.Fatalf("sluice is not ready:\n%s", p.log.String())
}

// cmdLog: log [@NAME] REGEX…
//
// Waits until each has come in the log, behind what "log" found before. "! log REGEX" fails if it is
// anywhere in the log.
func cmdLog(s *step) {
	p := s.mustRun()
	for _, pattern := range s.args {
		re, err := regexp.Compile(pattern)
		s.Check(err)
		if s.neg {
			if re.MatchString(p.log.String()) {
				s.Fatalf("the log has %q", pattern)
			}
			continue
		}
		s.eventually(fmt.Sprintf("the log has %q", pattern), func() bool { return p.log.take(re) })
	}
}

func (s *step) eventually(what string, yes func() bool) {
	for end := time.Now().Add(patience); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("it did not happen within %v that %s", patience, what)
		}
	}
}

// cmdEnvoy: envoy kill|back|gone|join [@NAME]
//
// kill ends sluice's Envoy with SIGKILL, and waits until it is gone; back waits until the next one serves.
// gone waits until the Envoys of a killed sluice are gone. join
// starts an Envoy with the bootstrap that sluice has printed.
func cmdEnvoy(s *step) {
	verb := s.next("kill, back, gone or join")
	p := s.mustRun()
	switch verb {
	case "kill":
		pids := children(p.cmd.Process.Pid)
		if len(pids) != 1 {
			s.Fatalf("sluice has %d children, not one", len(pids))
		}
		s.Check(syscall.Kill(pids[0], syscall.SIGKILL))
		s.awaitGone(pids[0])
	case "gone":
		if len(p.envoys) == 0 {
			s.Fatalf("sluice had no Envoy when it was killed")
		}
		for _, pid := range p.envoys {
			s.awaitGone(pid)
		}
	case "back":
		s.awaitReady(p)
	case "join":
		s.join(p)
	default:
		s.Fatalf("envoy %s: there is no such command", verb)
	}
}

func (s *step) awaitGone(pid int) {
	s.eventually(fmt.Sprintf("Envoy %d is gone", pid), func() bool { return syscall.Kill(pid, 0) != nil || zombie(pid) })
}

func (s *step) join(p *process) {
	var printed []byte
	s.eventually("sluice has printed a bootstrap", func() bool {
		printed = []byte(p.out.String())
		return json.Valid(printed)
	})
	s.Check(os.WriteFile(s.MkAbs("joining.json"), printed, 0o600))
	if old := s.w.running["envoy"]; old != nil {
		old.kill()
	}
	s.w.running["envoy"] = s.spawn(s.Getenv("ENVOY_PATH"), []string{"-c", s.MkAbs("joining.json"), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"})
	s.awaitReady(p)
}

// children are the processes that a process has started.
func children(parent int) []int {
	var out []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		pid, fields := stat(file)
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			out = append(out, pid)
		}
	}
	return out
}

func zombie(pid int) bool {
	_, fields := stat(fmt.Sprintf("/proc/%d/stat", pid))
	return len(fields) == 0 || fields[0] == "Z"
}

// stat is a process's id, and what stands behind its name: state, parent … (proc_pid_stat(5)).
func stat(file string) (int, []string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, nil
	}
	head, tail, _ := strings.Cut(string(text), ") ")
	pid, _ := strconv.Atoi(strings.Fields(head)[0])
	return pid, strings.Fields(tail)
}

// cmdListens: listens [@NAME] ADDRESS
//
// Fails unless sluice's port is open on that IPv4 address alone (proc_net_tcp(5)).
func cmdListens(s *step) {
	p, want := s.mustRun(), s.next("an address")
	_, port, err := net.SplitHostPort(strings.SplitN(p.url, "://", 2)[1])
	s.Check(err)
	table, err := os.ReadFile("/proc/net/tcp")
	s.Check(err)
	ip := net.ParseIP(want).To4()
	open := fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], s.number(port))
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if f[3] == "0A" && strings.HasSuffix(f[1], open[8:]) && f[1] != open {
			s.Fatalf("the port is open on %s, not on %s", f[1], open)
		}
	}
	if !strings.Contains(string(table), open) {
		s.Fatalf("the port is not open on %s", want)
	}
}

// cmdPort: port VARIABLE
//
// Sets a variable to a free port.
func cmdPort(s *step) { s.Setenv(s.next("a variable"), strconv.Itoa(s.freePort())) }

func (s *step) freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.Check(err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
