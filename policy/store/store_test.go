package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sluicegw/sluice/internal/testtools"
)

// eachDatabase runs a test on SQLite and on PostgreSQL; open gives another handle on the same database.
func eachDatabase(t *testing.T, test func(t *testing.T, open func() *DB)) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "data", "sluice?#%.db")
		test(t, func() *DB { return opened(t, Options{Path: path}) })
	})
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("starts PostgreSQL")
		}
		url := testtools.Postgres(t).URL
		test(t, func() *DB { return opened(t, Options{URL: url}) })
	})
}

func opened(t *testing.T, o Options) *DB {
	t.Helper()
	db, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	select {
	case <-db.Ready():
	case <-time.After(time.Minute):
		t.Fatal(db.Down())
	}
	return db
}

func put(t *testing.T, db *DB, o Object) int64 {
	t.Helper()
	version, err := db.Objects().Change(t.Context(), func(c *Change) error { return c.Put(o) })
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func TestObjects(t *testing.T) {
	eachDatabase(t, func(t *testing.T, open func() *DB) {
		db := open()
		first := put(t, db, Object{Kind: "key", ID: "a", Unique: "alias", Doc: json.RawMessage(`{"x":"é"}`)})
		second := put(t, db, Object{Kind: "key", ID: "b", Doc: json.RawMessage(`{}`)})
		if second != first+1 {
			t.Errorf("versions %d, %d", first, second)
		}
		var seen []string
		list := func(from int64) int64 {
			t.Helper()
			seen = nil
			last, err := open().Objects().Since(t.Context(), from, func(o Object) {
				seen = append(seen, fmt.Sprintf("%s/%s %s %v %q", o.Kind, o.ID, o.Doc, o.Deleted, o.Unique))
			})
			if err != nil {
				t.Fatal(err)
			}
			return last
		}
		if last := list(0); last != second || len(seen) != 2 || seen[0] != `key/a {"x":"é"} false "alias"` {
			t.Errorf("%d %q", last, seen)
		}
		_, err := db.Objects().Change(t.Context(), func(c *Change) error { return c.Put(Object{Kind: "key", ID: "c", Unique: "alias", Doc: []byte("{}")}) })
		if !errors.Is(err, ErrTaken) {
			t.Errorf("an alias twice: %v", err)
		}
		put(t, db, Object{Kind: "team", ID: "c", Unique: "alias", Doc: []byte("{}")}) // another kind
		deleted, err := db.Objects().Change(t.Context(), func(c *Change) error {
			if _, ok, err := c.Get("key", "nobody"); ok || err != nil {
				t.Error(ok, err)
			}
			if o, ok, err := c.Get("key", "a"); !ok || err != nil || o.Version != first || o.Unique != "alias" {
				t.Error(o, ok, err)
			}
			return c.Delete("key", "a")
		})
		if err != nil {
			t.Fatal(err)
		}
		if last := list(second); last != deleted || len(seen) != 2 || seen[1] != `key/a  true ""` {
			t.Errorf("%d %q", last, seen)
		}
		if list(0); len(seen) != 2 {
			t.Errorf("the tombstone is loaded: %q", seen)
		}
		put(t, db, Object{Kind: "key", ID: "d", Unique: "alias", Doc: []byte("{}")}) // free again
	})
}

func TestFailedChangeLeavesNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, open func() *DB) {
		db := open()
		oops := errors.New("oops")
		if _, err := db.Objects().Change(t.Context(), func(c *Change) error {
			return errors.Join(c.Put(Object{Kind: "key", ID: "a", Doc: []byte("{}")}), oops)
		}); !errors.Is(err, oops) {
			t.Fatal(err)
		}
		if last, err := db.Objects().Since(t.Context(), 0, func(o Object) { t.Error(o) }); last != 0 || err != nil {
			t.Error(last, err)
		}
	})
}

func TestSeveralStartAtOnceAndWriteAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, open func() *DB) {
		var starting sync.WaitGroup
		dbs := make([]*DB, 6)
		for i := range dbs {
			starting.Go(func() { dbs[i] = open() })
		}
		starting.Wait()
		if t.Failed() {
			return
		}
		const each = 20
		var writing sync.WaitGroup
		for _, db := range dbs {
			writing.Go(func() {
				for range each {
					if _, err := db.Objects().Change(t.Context(), func(c *Change) error {
						o, ok, err := c.Get("counter", "n")
						if err != nil {
							return err
						}
						n := 0
						if ok {
							_ = json.Unmarshal(o.Doc, &n)
						}
						return c.Put(Object{Kind: "counter", ID: "n", Doc: fmt.Append(nil, n+1)})
					}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		writing.Wait()
		var got string
		last, err := dbs[0].Objects().Since(t.Context(), 0, func(o Object) { got = string(o.Doc) })
		if want := fmt.Sprint(each * len(dbs)); got != want || fmt.Sprint(last) != want || err != nil {
			t.Errorf("%s at version %d, want %s: %v", got, last, want, err)
		}
	})
}

// mirror is a replica's memory.
type mirror struct {
	mu   sync.Mutex
	docs map[string]string
	seen chan struct{}
}

func follow(t *testing.T, db *DB) (*mirror, *Follower) {
	m := &mirror{docs: map[string]string{}, seen: make(chan struct{}, 1000)}
	f := db.Objects().Follow(func(changed []Object, whole bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if whole {
			clear(m.docs)
		}
		for _, o := range changed {
			m.docs[o.ID] = string(o.Doc)
			if o.Deleted {
				delete(m.docs, o.ID)
			}
		}
		m.seen <- struct{}{}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return m, f
}

func (m *mirror) get(id string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.docs[id]
}

func (m *mirror) wait(t *testing.T, id, want string) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for m.get(id) != want {
		select {
		case <-m.seen:
		case <-limit:
			t.Fatalf("%s is %q, want %q", id, m.get(id), want)
		}
	}
}

func TestFollow(t *testing.T) {
	eachDatabase(t, func(t *testing.T, open func() *DB) {
		db := open()
		put(t, db, Object{Kind: "key", ID: "a", Doc: []byte("1")})
		here, sync := follow(t, db)
		there, _ := follow(t, open())
		there.wait(t, "a", "1")
		put(t, db, Object{Kind: "key", ID: "a", Doc: []byte("2")})
		if err := sync.Sync(t.Context()); err != nil || here.get("a") != "2" {
			t.Errorf("after Sync %q, %v", here.get("a"), err)
		}
		there.wait(t, "a", "2")
		if _, err := db.Objects().Change(t.Context(), func(c *Change) error { return c.Delete("key", "a") }); err != nil {
			t.Fatal(err)
		}
		there.wait(t, "a", "")
		// As if an older backup had been restored.
		if _, err := db.SQL().ExecContext(t.Context(), "UPDATE sluice_sequence SET last = 0"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.SQL().ExecContext(t.Context(), `INSERT INTO sluice_objects (kind, id, version, doc, changed_at) VALUES ('key', 'old', 0, '0', 0)`); err != nil {
			t.Fatal(err)
		}
		put(t, db, Object{Kind: "key", ID: "b", Doc: []byte("3")})
		there.wait(t, "b", "3")
	})
}

func TestPostgresDownAtStartAndLater(t *testing.T) {
	if testing.Short() {
		t.Skip("starts PostgreSQL")
	}
	server := testtools.Postgres(t)
	server.Kill()
	db, err := Open(t.Context(), Options{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	m, _ := follow(t, db)
	if db.Down() == nil {
		t.Error("it is up")
	}
	server.Restart()
	<-db.Ready()
	<-m.seen
	if err := db.Down(); err != nil {
		t.Error(err)
	}
	put(t, db, Object{Kind: "key", ID: "a", Doc: []byte("1")})
	m.wait(t, "a", "1")
	server.Kill()
	for db.Down() == nil {
		time.Sleep(time.Millisecond)
	}
	if m.get("a") != "1" {
		t.Error("memory is lost")
	}
	if _, err := db.Objects().Change(t.Context(), func(c *Change) error { return nil }); err == nil || !Outage(err) {
		t.Errorf("a write to a killed database: %v", err)
	}
	server.Restart()
	for db.Down() != nil {
		time.Sleep(time.Millisecond)
	}
	put(t, db, Object{Kind: "key", ID: "a", Doc: []byte("2")})
	m.wait(t, "a", "2")
}

func TestSQLiteFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "s.db")
	db := opened(t, Options{Path: path})
	put(t, db, Object{Kind: "key", ID: "a", Doc: []byte("1")})
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range append(files, filepath.Dir(path)) {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Error(f, info.Mode(), err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text"), []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{
		{URL: "postgres://user:hunter2@host:notaport/db"}, {URL: "mysql://user:hunter2@host/db"},
		{Path: filepath.Join(dir, "text")}, {Path: filepath.Join(dir, "text", "below")},
	} {
		if db, err := Open(t.Context(), o); err == nil {
			_ = db.Close()
			t.Errorf("%+v opens", o)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is told: %v", err)
		}
	}
}

func TestPlainURL(t *testing.T) {
	for in, want := range map[string]string{
		"postgresql://u:p%40@h/d?schema=public&connection_limit=5&pgbouncer=true": "postgresql://u:p%40@h/d?default_query_exec_mode=exec&search_path=public",
		"host=h user=u":              "host=h user=u",
		"postgres://h/d?sslmode=off": "postgres://h/d?sslmode=off",
	} {
		if got := PlainURL(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestMigrationFiles(t *testing.T) {
	lite, err := migrations(migrationFiles, false)
	if err != nil {
		t.Fatal(err)
	}
	pg, err := migrations(migrationFiles, true)
	if err != nil || len(pg) != len(lite) {
		t.Fatalf("%d on PostgreSQL, %d on SQLite: %v", len(pg), len(lite), err)
	}
	for i := range lite {
		if lite[i].version != pg[i].version || lite[i].name != pg[i].name {
			t.Errorf("%d_%s and %d_%s", lite[i].version, lite[i].name, pg[i].version, pg[i].name)
		}
	}
	for _, bad := range []fstest.MapFS{
		{"migrations/one.sql": {}}, {"migrations/1_a.sql": {}, "migrations/001_b.sql": {}},
	} {
		if _, err := migrations(bad, true); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

func TestStatements(t *testing.T) {
	text := "-- why;\nCREATE TABLE a (\n  b TEXT DEFAULT 'x;y'\n);\nINSERT INTO a VALUES ('1');\n-- begin\nCREATE TRIGGER t BEGIN\n  SELECT 1;\nEND;\n-- end\n"
	got := statements(text)
	if len(got) != 3 || !strings.HasPrefix(got[0], "-- why;\nCREATE TABLE a") || got[2] != "CREATE TRIGGER t BEGIN\n  SELECT 1;\nEND;" {
		t.Errorf("%q", got)
	}
}

func TestChangedMigrationIsRefused(t *testing.T) {
	eachDatabase(t, func(t *testing.T, open func() *DB) {
		db := open()
		ran := func(m migration) error {
			return db.locked(t.Context(), func(tx *sql.Tx) error { return m.run(t.Context(), tx) })
		}
		m := migration{900, "x", "CREATE TABLE x (a BIGINT);"}
		for range 2 {
			if err := ran(m); err != nil {
				t.Fatal(err)
			}
		}
		m.text = "CREATE TABLE y (a BIGINT);"
		if err := ran(m); err == nil {
			t.Error("another text under the same number runs")
		}
		if err := ran(migration{901, "bad", "CREATE TABLE z (a BIGINT);\nnonsense;"}); err == nil {
			t.Error("nonsense runs")
		}
		if _, err := db.SQL().ExecContext(t.Context(), "SELECT * FROM z"); err == nil {
			t.Error("half a migration stays")
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A file of before rows were kept apart from their parties has the same rows afterwards.
func TestLedgerBecomesCompact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	old, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	_, err = old.Exec(`CREATE TABLE sluice_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)`)
	must(t, err)
	all, err := migrations(migrationFiles, false)
	must(t, err)
	for _, m := range all {
		if m.version >= 102 {
			break
		}
		tx, err := old.Begin()
		must(t, err)
		must(t, m.run(t.Context(), tx))
		must(t, tx.Commit())
	}
	row := `('call-%d', %[1]d, 2, 3, 'r%[1]d', 1, 'acompletion', 'key', 'alias', 'team', 'user', 'c', '', 's', '["x"]', 'm', 'g', 'd', 'openai', 'b', 1, 2, 3,
		4, 5, 6, 1, 0, 1, 0, 200, '')`
	for i := range 3 {
		_, err = old.Exec("INSERT INTO sluice_spend VALUES " + fmt.Sprintf(row, i))
		must(t, err)
	}
	sum := "SELECT COUNT(*), MIN(id), SUM(started), MAX(api_key), MAX(tags), SUM(stream), SUM(cache_hit), SUM(estimated), SUM(orphaned), SUM(spend), MAX(session_id) FROM sluice_spend"
	read := func(db *sql.DB) (out [11]any) {
		var to []any
		for i := range out {
			to = append(to, &out[i])
		}
		must(t, db.QueryRow(sum).Scan(to...))
		return out
	}
	before := read(old)
	must(t, old.Close())
	db, err := Open(t.Context(), Options{Path: path})
	must(t, err)
	defer func() { _ = db.Close() }()
	if after := read(db.SQL()); after != before {
		t.Errorf("%v before, %v after", before, after)
	}
	var parties int
	must(t, db.SQL().QueryRow("SELECT COUNT(*) FROM sluice_spend_parties").Scan(&parties))
	if parties != 1 {
		t.Errorf("%d parties", parties)
	}
}
