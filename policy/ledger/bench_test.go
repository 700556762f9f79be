package ledger

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/internal/testtools"
	"github.com/sluicegw/sluice/policy/store"
)

// usual is the row of an ordinary call with one of a hundred keys: its ids and texts have the lengths that real ones have.
func usual(n int) Row {
	id := make([]byte, 16)
	for i := range id {
		id[i] = byte(rand.Uint32())
	}
	request := fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	return Row{
		ID: hex.EncodeToString(id) + "-1", RequestID: request, Attempt: 1, CallType: "acompletion", KeyAlias: "alias",
		Key: fmt.Sprintf("%08x", uint32(n%100)*2654435761) + strings.Repeat("0123456789abcde", 4)[:56], User: "default_user_id",
		Model: "gpt-4o-mini", Group: "gpt-4o-mini", Deployment: strings.Repeat("0123456789abcdef", 4), Provider: "openai",
		APIBase: "https://api.openai.com/v1", Prompt: 100, Completion: 20, Spend: money.Cent,
		Started: noon.Add(time.Duration(n) * time.Millisecond), Ended: noon.Add(time.Duration(n)*time.Millisecond + time.Second), Status: 200,
	}
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWrite is one row in batches of a second at a thousand calls a second; cpu-ns/row is what the process spent on it.
func BenchmarkWrite(b *testing.B) {
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			o := store.Options{Path: filepath.Join(b.TempDir(), "db")}
			if name == "postgres" {
				if testing.Short() {
					b.Skip("a real PostgreSQL")
				}
				o.URL = testtools.Postgres(b).URL
			}
			db, err := store.Open(b.Context(), o)
			must(b, err)
			defer func() { _ = db.Close() }()
			<-db.Ready()
			l := New(db)
			rows := make([]Row, 1000)
			n := 0
			var spent time.Duration
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				for i := range rows {
					rows[i] = usual(n)
					n++
				}
				before := processorTime()
				b.StartTimer()
				must(b, l.Write(b.Context(), rows))
				spent += processorTime() - before
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "cpu-ns/row")
		})
	}
}
