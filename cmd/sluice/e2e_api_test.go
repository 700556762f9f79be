package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegw/sluice/internal/testtools"
)

// scriptMaster is the master key of scripts that use the admin API.
const scriptMaster = "sk-script-master-0123456789"

// api is a request to the HTTP API as a script writes it: STATUS [METHOD] PATH [JSON] [header:value…]. Without a
// method it is a GET, or a POST if there is a body; without key:TOKEN it has the master key.
func (s *step) api(p *process) func() (*got, error) {
	method, path := "GET", s.next("the path")
	if !strings.HasPrefix(path, "/") {
		method, path = path, s.next("the path")
	}
	body, header := "", map[string]string{"authorization": "Bearer " + scriptMaster}
	for i, arg := range s.args {
		if i == 0 && strings.HasPrefix(arg, "{") {
			body = arg
			if method == "GET" {
				method = "POST"
			}
			continue
		}
		name, value, _ := strings.Cut(arg, ":")
		if name == "key" {
			name, value = "authorization", "Bearer "+value
		}
		header[name] = strings.TrimSpace(value)
	}
	return func() (*got, error) { return fetch(method, p.url+path, body, header) }
}

// cmdAPI: api [@NAME] STATUS [METHOD] PATH [JSON] [key:TOKEN] [header:value…]
//
// A request to the HTTP API; prints status, headers and body, and remembers the body for keep.
func cmdAPI(s *step) {
	p, status := s.mustRun(), s.status()
	g, err := s.api(p)()
	if err == nil {
		s.w.answer = g.body
		s.w.said += g.String()
	}
	s.expect(status, g, err)
}

// cmdAPISoon: api-soon [@NAME] STATUS REGEX [METHOD] PATH …
//
// Asks until the answer has the status and the body matches.
func cmdAPISoon(s *step) {
	p, status := s.mustRun(), s.status()
	re, err := regexp.Compile(s.next("a pattern"))
	s.Check(err)
	ask := s.api(p)
	s.eventually(fmt.Sprintf("an answer has the status %d and matches %s", status, re), func() bool {
		g, err := ask()
		if err == nil {
			s.w.answer = g.body
		}
		return err == nil && g.status == status && re.MatchString(g.body)
	})
}

// cmdKeep: keep VARIABLE FIELD[.FIELD…]
//
// Sets a variable to a field of the last answer.
func cmdKeep(s *step) {
	variable, path := s.next("a variable"), s.next("a field")
	var at any
	s.Check(json.Unmarshal([]byte(s.w.answer), &at))
	for part := range strings.SplitSeq(path, ".") {
		m, _ := at.(map[string]any)
		at = m[part]
	}
	if at == nil {
		s.Fatalf("the last answer has no %s: %s", path, s.w.answer)
	}
	s.Setenv(variable, fmt.Sprint(at))
}

// cmdPostgres: postgres start|kill|restart
//
// A PostgreSQL of the script's own, at $DATABASE_URL.
func cmdPostgres(s *step) {
	switch s.next("start, kill or restart") {
	case "start":
		s.w.postgres = testtools.Postgres(s.w.t)
		s.Setenv("DATABASE_URL", s.w.postgres.URL)
		s.Setenv("PGPORT", strconv.Itoa(s.w.postgres.Port))
	case "kill":
		s.w.postgres.Kill()
	case "restart":
		s.w.postgres.Restart()
	}
}

// cmdUnsaid: unsaid TEXT…
//
// Fails if an answer to an api command had one of the texts.
func cmdUnsaid(s *step) {
	for _, secret := range s.args {
		if strings.Contains(s.w.said, secret) {
			s.Fatalf("an answer had the secret %q", secret)
		}
	}
}

// cmdSecret: secret TEXT…
//
// Fails if anything that a sluice of the script wrote has one of the texts: its logs, and the files below $WORK/state.
// The answers are the script's own to look at.
func cmdSecret(s *step) {
	places := map[string]string{}
	for name, p := range s.w.running {
		places["the log of "+name] = p.log.String() + p.out.String()
	}
	s.Check(filepath.Walk(s.MkAbs("state"), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		places[path] = string(text)
		return err
	}))
	if len(places) < 2 {
		s.Fatalf("only %d places were looked at", len(places))
	}
	for _, secret := range s.args {
		for place, text := range places {
			if strings.Contains(text, secret) != s.neg {
				s.Fatalf("%s: the secret %q is there: %v", place, secret, !s.neg)
			}
		}
	}
}

// cmdLiteLLM: litellm FILE
//
// Makes the script's PostgreSQL a database of LiteLLM's, by its own migrations, and runs the SQL of FILE in it.
func cmdLiteLLM(s *step) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.w.postgres.URL)
	s.Check(err)
	defer func() { _ = conn.Close(ctx) }()
	for _, sql := range append(testtools.LiteLLMMigrations(s.w.t), s.ReadFile(s.next("a file"))) {
		if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
			s.Fatalf("%v\n%.400s", err, sql)
		}
	}
}
