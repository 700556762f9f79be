package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/internal/testtools"
	"github.com/sluicegw/sluice/policy/store"
)

// databases are a new SQLite file and a new PostgreSQL database.
func databases(t *testing.T, f func(t *testing.T, l *Ledger)) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			o := store.Options{Path: filepath.Join(t.TempDir(), "db")}
			if name == "postgres" {
				if testing.Short() {
					t.Skip("a real PostgreSQL")
				}
				o.URL = testtools.Postgres(t).URL
			}
			db, err := store.Open(t.Context(), o)
			must(t, err)
			t.Cleanup(func() { _ = db.Close() })
			<-db.Ready()
			f(t, New(db))
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var noon = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

func row(n int) Row {
	return Row{
		ID: fmt.Sprint("call-", n), RequestID: fmt.Sprint("r", n), Attempt: 1, CallType: "acompletion", Key: fmt.Sprint("key", n%3), KeyAlias: "a",
		Team: "t", User: fmt.Sprint("u", n%2), Customer: "c", Tags: []string{"x", fmt.Sprint("tag%_", n%2), "x"}, Model: "m", Group: "g",
		Deployment: "d", Provider: "openai", APIBase: "http://x", Prompt: 10, Completion: 5, CachedRead: 1, CacheWrite: 2, Reasoning: 3,
		Spend: money.Cent, Started: noon.Add(time.Duration(n) * time.Hour), FirstToken: noon, Ended: noon.Add(time.Minute),
		Stream: true, CacheHit: true, Estimated: true, Orphaned: true, Status: 200, Failure: "timeout",
	}
}

func TestRowKeepsAll(t *testing.T) {
	r := row(1)
	for _, v := range []reflect.Value{reflect.ValueOf(r)} {
		for i := range v.NumField() {
			if v.Field(i).IsZero() && v.Type().Field(i).Name != "Organization" && v.Type().Field(i).Name != "Session" {
				t.Errorf("the test's row has no %s", v.Type().Field(i).Name)
			}
		}
	}
	r.Organization, r.Session = "o", "s"
	b := r.Append(nil)
	got, rest, err := ReadRow(append(b, "rest"...))
	if err != nil || string(rest) != "rest" || !reflect.DeepEqual(got, r) {
		t.Errorf("%v\n%+v\n%+v", err, got, r)
	}
	for n := range b {
		if _, _, err := ReadRow(b[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are a row", n, len(b))
		}
	}
}

func FuzzReadRow(f *testing.F) {
	r := row(1)
	f.Add(r.Append(nil))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _, _ = ReadRow(b) })
}

func TestWriteAndSum(t *testing.T) {
	databases(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		var rows []Row
		for n := range 48 { // over the end of the month, and of two days
			rows = append(rows, row(n))
		}
		bad := row(100)
		bad.Customer, bad.Spend = "a\x00b\xff", 0
		rows = append(rows, bad)
		must(t, l.Write(ctx, append(rows[:30:30], rows[3])))
		must(t, l.Write(ctx, rows)) // the first thirty again
		sum := func(kind, id string, since time.Time) money.Amount {
			t.Helper()
			a, err := l.Sum(ctx, Scope{kind, id}, since)
			must(t, err)
			byRows := money.Zero
			for i := range rows {
				if (Scope{kind, id}).Covers(&rows[i]) && !rows[i].Started.Before(since) {
					byRows += rows[i].Spend
				}
			}
			if a != byRows {
				t.Errorf("%s %s since %s: %s, its rows %s", kind, id, since, a, byRows)
			}
			return a
		}
		for _, since := range []time.Time{{}, noon, noon.Add(90 * time.Minute), noon.Add(12 * time.Hour), noon.Add(30*time.Hour + 1000), noon.Add(1000 * time.Hour)} {
			for _, s := range []Scope{{"global", ""}, {"key", "key1"}, {"team", "t"}, {"user", "u1"}, {"customer", "c"}, {"provider", "openai"},
				{"team_member", "t\x1fu0"}, {"key_model", "key2/g"}, {"tag", "x"}, {"tag", "tag%_1"}, {"tag", "tag"}, {"key", "none"}} {
				sum(s.Kind, s.ID, since)
			}
		}
		if a := sum("global", "", time.Time{}); a != 48*money.Cent {
			t.Errorf("all: %s", a)
		}
		all, err := l.Verify(ctx, time.Time{})
		must(t, err)
		var table bytes.Buffer
		if fits, err := WriteTable(&table, all); !fits || err != nil || len(all) != 4 {
			t.Errorf("%v\n%s", err, &table)
		}

		// Somebody edits the totals by hand.
		_, err = l.db.SQL().ExecContext(ctx, "UPDATE sluice_spend_daily SET spend = spend + 5 WHERE day = $1 AND api_key = 'key1'", dayOf(noon.UnixMicro())+1)
		must(t, err)
		all, _ = l.Verify(ctx, noon.Add(24*time.Hour))
		if len(all) != 3 || all[0].Fits() || all[0].Date != "2026-04-01" {
			t.Errorf("%+v", all)
		}
		must(t, l.Repair(ctx, "2026-04-01"))
		if all, _ = l.Verify(ctx, time.Time{}); !all[1].Fits() {
			t.Errorf("%+v", all)
		}

		// What a successor brings along, and a reset.
		must(t, l.Mark(ctx, Scope{"key", "new"}, noon, true, 3*money.Dollar))
		if a, err := l.Sum(ctx, Scope{"key", "new"}, time.Time{}); a != 3*money.Dollar || err != nil {
			t.Error(a, err)
		}
		must(t, l.Mark(ctx, Scope{"key", "key1"}, noon.Add(24*time.Hour), true, 0))
		a, _ := l.Sum(ctx, Scope{"key", "key1"}, time.Time{})
		if b, _ := l.Sum(ctx, Scope{"key", "key1"}, noon.Add(24*time.Hour)); a != b || a == 0 {
			t.Errorf("after a reset %s, since then %s", a, b)
		}

		// Retention takes rows, not sums.
		before, _ := l.Sum(ctx, Scope{Kind: "global"}, time.Time{})
		removed, err := l.Retain(ctx, noon.Add(24*time.Hour))
		must(t, err)
		after, _ := l.Sum(ctx, Scope{Kind: "global"}, time.Time{})
		if removed != 12 || before != after {
			t.Errorf("removed %d rows; %s before, %s after", removed, before, after)
		}
		if all, _ = l.Verify(ctx, time.Time{}); all[0].Kept || !all[0].Fits() || !all[1].Kept {
			t.Errorf("%+v", all)
		}
	})
}

// Several writers with the same keys in different orders: no deadlock, nothing twice.
func TestManyWriters(t *testing.T) {
	databases(t, func(t *testing.T, l *Ledger) {
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for round := range 5 {
					var rows []Row
					for n := range 40 {
						n = (n*7 + w*11) % 40
						rows = append(rows, row(round*40+n))
					}
					if err := l.Write(context.Background(), rows); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if a, err := l.Sum(t.Context(), Scope{Kind: "global"}, time.Time{}); a != 200*money.Cent || err != nil {
			t.Error(a, err)
		}
		if all, _ := l.Verify(t.Context(), time.Time{}); len(all) < 8 {
			t.Error(all)
		} else if fits, _ := WriteTable(new(bytes.Buffer), all); !fits {
			t.Error("totals differ")
		}
	})
}

// A file finds rows by its indexes, through the view.
func TestPlansOfFiles(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "db")})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	for filter, want := range map[Filter]string{
		{}:                             "sluice_spend_rows USING INDEX sqlite_autoindex_sluice_spend_rows_1 (started>?)",
		{Key: "k", From: noon}:         "sluice_spend_rows USING INDEX sluice_spend_rows_party (party=? AND started>?)",
		{User: "u", From: noon}:        "sluice_spend_rows USING INDEX sluice_spend_rows_party (party=? AND started>?)",
		{Team: "t", Key: "k"}:          "sluice_spend_rows USING INDEX sluice_spend_rows_party (party=? AND started>?)",
		{Request: "some-request's-id"}: "sluice_spend_rows USING INDEX sluice_spend_rows_request (<expr>=?)",
	} {
		where, args := filter.where(false)
		var plan bytes.Buffer
		must(t, each(t.Context(), db.SQL(), "EXPLAIN QUERY PLAN SELECT "+columns+" FROM sluice_spend"+where+" ORDER BY started DESC LIMIT 10",
			func(rows *sql.Rows) error {
				var id, parent, unused int
				var text string
				err := rows.Scan(&id, &parent, &unused, &text)
				plan.WriteString(text + "\n")
				return err
			}, args...))
		if !bytes.Contains(plan.Bytes(), []byte(want)) {
			t.Errorf("%+v:\n%s", filter, &plan)
		}
	}
}
