package ledger

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/testtools"
	"github.com/sluicegw/sluice/policy/store"
)

// fill makes n rows over 30 days: 1,000 keys of 100 teams and 400 users, 5,000 customers, 12 models, 20 tags. Totals
// are made from the rows, as Repair would.
var fill = []string{
	`DROP INDEX sluice_spend_started, sluice_spend_request, sluice_spend_key, sluice_spend_team, sluice_spend_user, sluice_spend_customer`,
	`INSERT INTO sluice_spend (` + columns + `)
	SELECT md5(i::text) || '-1', $2::bigint + (i * 2592000000000.0 / $1::bigint)::bigint, $2::bigint + (i * 2592000000000.0 / $1::bigint)::bigint + 800000, 0,
	  md5('r' || i::text), 1, 'acompletion', md5('k' || (i % 1000)::text) || md5('K' || (i % 1000)::text), 'alias-' || (i % 1000)::text,
	  'team-' || (i % 100)::text, 'user-' || (i % 400)::text, CASE WHEN i % 10 = 0 THEN 'customer-' || (i % 5000)::text ELSE '' END, '', '',
	  '["tag-' || (i % 20)::text || '"]', 'model-' || (i % 12)::text, 'group-' || (i % 12)::text, 'deployment-' || (i % 24)::text, 'openai',
	  'https://api.openai.com', 200 + i % 1000, 100 + i % 300, 0, 0, 0, 1000000 + i % 9000000, i % 2, 0, 0, 0, 200, ''
	FROM generate_series(1::bigint, $1::bigint) i`,
	"SET maintenance_work_mem = '512MB'; " +
		"CREATE INDEX sluice_spend_started ON sluice_spend (started); " +
		"CREATE INDEX sluice_spend_request ON sluice_spend (request_id); " +
		"CREATE INDEX sluice_spend_key ON sluice_spend (api_key, started); " +
		"CREATE INDEX sluice_spend_team ON sluice_spend (team_id, started) WHERE team_id <> ''; " +
		"CREATE INDEX sluice_spend_user ON sluice_spend (user_id, started) WHERE user_id <> ''; " +
		"CREATE INDEX sluice_spend_customer ON sluice_spend (end_user, started) WHERE end_user <> '';",
	`INSERT INTO sluice_spend_daily SELECT started / 86400000000, api_key, team_id, user_id, end_user, model_group, model, provider,
	  SUM(spend), SUM(prompt), SUM(completion), COUNT(*), 0 FROM sluice_spend GROUP BY 1,2,3,4,5,6,7,8`,
	`INSERT INTO sluice_spend_daily_tags SELECT started / 86400000000, t, api_key, user_id, SUM(spend), SUM(prompt), SUM(completion), COUNT(*), 0
	  FROM sluice_spend, json_array_elements_text(tags::json) t GROUP BY 1,2,3,4`,
	`ANALYZE sluice_spend`, `ANALYZE sluice_spend_daily`, `ANALYZE sluice_spend_daily_tags`,
}

// TestLarge times a month's queries over a large ledger: SLUICE_LEDGER_ROWS says how large. docs/spend.md has the
// results of ten million rows.
func TestLarge(t *testing.T) {
	n, err := strconv.ParseInt(os.Getenv("SLUICE_LEDGER_ROWS"), 10, 64)
	if err != nil {
		t.Skip("SLUICE_LEDGER_ROWS is not set")
	}
	db, err := store.Open(t.Context(), store.Options{URL: testtools.Postgres(t).URL})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	<-db.Ready()
	l := New(db)
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	must(t, l.partitions(t.Context(), []Row{{Started: from}, {Started: from.AddDate(0, 1, 0)}}))
	began := time.Now()
	for _, statement := range fill {
		var args []any
		if strings.Contains(statement, "$1") {
			args = []any{n, from.UnixMicro()}
		}
		_, err := db.SQL().ExecContext(t.Context(), statement, args...)
		must(t, err)
	}
	t.Logf("%d rows were filled in %s", n, time.Since(began).Round(time.Second))
	month := Period{From: from, To: from.AddDate(0, 0, 29)}
	key, err := l.texts(t.Context(), "SELECT api_key FROM sluice_spend_daily LIMIT 1")
	must(t, err)
	measure := func(name string, f func() (int, error)) {
		t.Helper()
		best := time.Hour
		var rows int
		for range 3 {
			began := time.Now()
			var err error
			rows, err = f()
			must(t, err)
			best = min(best, time.Since(began))
		}
		t.Logf("%-60s %6d lines %8.1f ms", name, rows, float64(best.Microseconds())/1000)
		if best > time.Second {
			t.Errorf("%s took %s", name, best)
		}
	}
	lines := func(only map[By]string, by ...By) func() (int, error) {
		return func() (int, error) {
			out, err := l.Lines(t.Context(), month, only, by...)
			return len(out), err
		}
	}
	measure("/global/spend", lines(nil))
	sums := func(only map[By]string) func() (int, error) { // as /spend/logs asks
		return func() (rows int, err error) {
			for _, by := range [][]By{{ByDay}, {ByDay, ByKey}, {ByDay, ByUser}, {ByDay, ByModel}} {
				n, failed := lines(only, by...)()
				if failed != nil {
					err = failed
				}
				rows += n
			}
			return rows, err
		}
	}
	measure("/spend/logs, a month's days", sums(nil))
	measure("/spend/logs?api_key=", sums(map[By]string{ByKey: key[0]}))
	measure("/spend/logs?user_id=", sums(map[By]string{ByUser: "user-7"}))
	measure("/spend/tags", lines(nil, ByTag))
	for _, by := range []By{ByGroup, ByTeam, ByUser, ByKey, ByCustomer} {
		measure("/spend/tags?group_by="+string(by), lines(nil, by))
	}
	measure("/global/spend/report?group_by=team", lines(nil, ByDay, ByTeam, ByModel, ByKey))
	measure("/global/spend/report?group_by=customer", lines(nil, ByDay, ByCustomer, ByModel, ByKey))
	measure("/global/spend/report?group_by=api_key", lines(nil, ByKey, ByModel))
	measure("/global/activity", lines(nil, ByDay))
	logs := func(f Filter) func() (int, error) {
		return func() (rows int, err error) {
			return rows, l.Each(t.Context(), f, func(*Row) { rows++ })
		}
	}
	until := from.AddDate(0, 1, 0)
	measure("/spend/logs?summarize=false, 10,000 rows", logs(Filter{From: from, To: until, Limit: 10_000}))
	measure("/spend/logs?summarize=false&api_key=", logs(Filter{From: from, To: until, Key: key[0], Limit: 10_000}))
	measure("/spend/logs?request_id=", logs(Filter{Request: "83878c91171338902e0fe0fb97a8c47a"}))
	for _, s := range []Scope{{"global", ""}, {"key", key[0]}, {"team", "team-7"}, {"customer", "customer-10"}, {"tag", "tag-3"}} {
		measure("the sum of a "+s.Kind+" since noon of day 29", func() (int, error) {
			_, err := l.Sum(t.Context(), s, from.AddDate(0, 0, 28).Add(12*time.Hour))
			return 1, err
		})
	}
	for name, query := range map[string]string{
		"a month by key": "SELECT api_key, SUM(spend) FROM sluice_spend_daily WHERE day >= 20454 AND day <= 20483 GROUP BY api_key ORDER BY 2 DESC",
		"a key's days":   fmt.Sprintf("SELECT day, SUM(spend) FROM sluice_spend_daily WHERE day >= 20454 AND day <= 20483 AND api_key = '%s' GROUP BY day", key[0]),
		"a key's rows":   fmt.Sprintf("SELECT id FROM sluice_spend WHERE started >= %d AND started < %d AND api_key = '%s' ORDER BY started DESC LIMIT 10000", from.UnixMicro(), until.UnixMicro(), key[0]),
		"a call":         "SELECT id FROM sluice_spend WHERE started >= 0 AND (request_id = 'x' OR id = 'x') ORDER BY started DESC",
	} {
		plan, err := l.texts(t.Context(), "EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF, TIMING OFF) "+query)
		must(t, err)
		t.Logf("%s:\n%s", name, strings.Join(plan, "\n"))
	}
}
