package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// crash lets go of everything as the kernel does when a process is killed: nothing is written or removed.
func (j *Journal) crash() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	close(j.stop)
	<-j.stopped
	j.release()
}

func id(n int) (id ID) {
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func open(t testing.TB, o Options) (*Journal, []Entry) {
	t.Helper()
	if o.SyncEvery == 0 {
		o.SyncEvery = -1
	}
	j, entries, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, entries
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func files(t testing.TB, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", "*"+suffix))
	must(t, err)
	return len(names)
}

func TestWhatIsLeft(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, Options{Dir: dir})
	for n := range 4 {
		must(t, j.Intent(id(n), fmt.Appendf(nil, "intent %d", n)))
	}
	must(t, j.Settle(id(1), []byte("settled 1")))
	must(t, j.Settle(id(2), []byte("settled 2")))
	must(t, j.Settle(id(3), nil))
	flushed, err := j.Pending(1)
	must(t, err)
	if string(flushed[0].Settled) != "settled 1" {
		t.Errorf("the oldest is %q", flushed[0].Settled)
	}
	j.Flushed(flushed)
	if err := j.Settle(id(1), []byte("again")); err == nil {
		t.Error("a call was settled twice")
	}
	j.crash()

	j, entries := open(t, Options{Dir: dir})
	got := ""
	for _, e := range entries {
		got += fmt.Sprintf("%s → %s; ", e.Intent, e.Settled)
	}
	// What was flushed is not marked: the file is only removed with all that is in it.
	if want := "intent 0 → ; intent 1 → settled 1; intent 2 → settled 2; "; got != want {
		t.Errorf("left:\n%s\nwant:\n%s", got, want)
	}
	must(t, j.Settle(id(0), []byte("orphaned")))
	all, err := j.Pending(10)
	must(t, err)
	if len(all) != 3 || string(all[2].Settled) != "orphaned" {
		t.Errorf("pending %v", all)
	}
	j.Return(all[1:])
	j.Flushed(all[:1])
	again, _ := j.Pending(10)
	if len(again) != 2 || again[0].ID != all[1].ID {
		t.Errorf("returned %v", again)
	}
	j.Flushed(again)
	must(t, j.Close())
	if _, entries = open(t, Options{Dir: dir}); len(entries) != 0 {
		t.Errorf("left after all was flushed: %v", entries)
	}
}

// Several processes share a directory, and a folder whose process is gone is adopted by the next that starts.
func TestFolders(t *testing.T) {
	dir := t.TempDir()
	a, _ := open(t, Options{Dir: dir})
	b, entries := open(t, Options{Dir: dir})
	if a.own.dir == b.own.dir || len(entries) != 0 {
		t.Fatalf("two journals in %s", a.own.dir)
	}
	must(t, b.Intent(id(7), []byte("b's")))
	b.crash()
	a.crash()
	c, entries := open(t, Options{Dir: dir})
	if len(entries) != 1 || string(entries[0].Intent) != "b's" {
		t.Fatalf("adopted %v", entries)
	}
	must(t, c.Settle(id(7), []byte("orphaned")))
	rows, err := c.Pending(9)
	must(t, err)
	c.Flushed(rows)
	if _, err := os.Stat(filepath.Join(dir, "1")); err == nil {
		t.Error("the folder of the process that is gone is still there")
	}
}

// Files go when all in them was flushed, and a call that takes long does not keep them.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, Options{Dir: dir, SegmentBytes: 4 << 10})
	must(t, j.Intent(id(0), []byte("takes long")))
	for n := 1; n < 1000; n++ {
		must(t, j.Intent(id(n), make([]byte, 100)))
		must(t, j.Settle(id(n), make([]byte, 100)))
		if n%10 == 0 {
			rows, err := j.Pending(100)
			must(t, err)
			j.Flushed(rows)
		}
	}
	if n := files(t, dir); n > 6 {
		t.Errorf("%d files are left", n)
	}
	j.crash()
	j, entries := open(t, Options{Dir: dir})
	if string(entries[0].Intent) != "takes long" && string(entries[len(entries)-1].Intent) != "takes long" {
		found := false
		for _, e := range entries {
			found = found || string(e.Intent) == "takes long" && e.Settled == nil
		}
		if !found {
			t.Error("the long call is gone")
		}
	}
	if s := j.State(); s.Live != len(entries) {
		t.Errorf("live %d, entries %d", s.Live, len(entries))
	}
}

// A file cut anywhere gives all records before the cut; damage within costs the record that it hit.
func TestDamage(t *testing.T) {
	var data []byte
	for n := range 5 {
		data = appendRecord(data, kindIntent, id(n), fmt.Appendf(nil, "payload %d", n))
	}
	one := len(data) / 5
	for cut := range len(data) {
		n := 0
		end, damaged := scan(append(data[:cut:cut], 0, 0, 0, 0), func(r record) {
			if r.id != id(n) {
				t.Fatalf("cut at %d: record %d is %v", cut, n, r.id)
			}
			n++
		})
		if n != cut/one || int(end) != cut/one*one || damaged != 0 {
			t.Fatalf("cut at %d: %d records to %d, %d damaged", cut, n, end, damaged)
		}
		broken := append([]byte(nil), data...)
		broken[cut] ^= 0x55
		n = 0
		scan(broken, func(record) { n++ })
		if n != 4 {
			t.Fatalf("byte %d damaged: %d records", cut, n)
		}
	}
}

// A disk without room refuses intents, settles what is under way, and is used again when it has room.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, Options{Dir: dir, SegmentBytes: 8 << 10})
	must(t, j.Intent(id(0), make([]byte, 100)))
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &old))
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(j.current().size) + 1000, Max: old.Max}))
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &old)) })
	var err error
	for n := 1; err == nil && n < 100; n++ {
		err = j.Intent(id(n), make([]byte, 100))
	}
	if !errors.Is(err, ErrFull) || j.State().Err == nil {
		t.Fatalf("refused with %v", err)
	}
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &old))
	must(t, j.Settle(id(0), []byte("settled")))
	j.full = j.full.Add(-2 * retryFull)
	must(t, j.Intent(id(200), nil))
	if j.State().Err != nil {
		t.Error("still refusing")
	}

	j, _ = open(t, Options{Dir: t.TempDir(), MaxPending: 1})
	must(t, j.Intent(id(1), nil))
	must(t, j.Settle(id(1), []byte("x")))
	if err := j.Intent(id(2), nil); !errors.Is(err, ErrFull) {
		t.Errorf("a database that takes nothing: %v", err)
	}
}

// Any sequence of calls, flushes and crashes: what was appended and not flushed is there, and nothing else but
// what a file still holds.
func TestAnySequence(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "j")
		must(t, err)
		defer func() { _ = os.RemoveAll(dir) }()
		o := Options{Dir: dir, SegmentBytes: 512, SyncEvery: -1}
		j, _, err := Open(o)
		must(t, err)
		defer func() { _ = j.Close() }()
		state := map[ID]string{} // "intent", "settled", "flushed", "nothing"
		next := 0
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"intent", "intent", "settle", "settle", "cancel", "flush", "crash"}).Draw(rt, "do") {
			case "intent":
				next++
				must(t, j.Intent(id(next), make([]byte, rapid.IntRange(0, 200).Draw(rt, "bytes"))))
				state[id(next)] = "intent"
			case "settle":
				if n := id(rapid.IntRange(1, max(1, next)).Draw(rt, "id")); state[n] == "intent" {
					must(t, j.Settle(n, []byte("settled")))
					state[n] = "settled"
				}
			case "cancel":
				if n := id(rapid.IntRange(1, max(1, next)).Draw(rt, "id")); state[n] == "intent" {
					must(t, j.Settle(n, nil))
					state[n] = "nothing"
				}
			case "flush":
				rows, err := j.Pending(rapid.IntRange(1, 9).Draw(rt, "rows"))
				must(t, err)
				for _, r := range rows {
					if state[r.ID] != "settled" && state[r.ID] != "flushed" {
						rt.Fatalf("%v is given to flush, and is %s", r.ID, state[r.ID])
					}
					state[r.ID] = "flushed"
				}
				j.Flushed(rows)
			case "crash":
				j.crash()
				var entries []Entry
				j, entries, err = Open(o)
				must(t, err)
				seen := map[ID]bool{}
				for _, e := range entries {
					seen[e.ID] = true
					if s := state[e.ID]; (e.Settled == nil) != (s == "intent") || s == "nothing" {
						rt.Fatalf("%v was %s, and is settled: %v", e.ID, s, e.Settled != nil)
					}
				}
				for n, s := range state {
					if (s == "intent" || s == "settled") && !seen[n] {
						rt.Fatalf("%v was %s, and is lost", n, s)
					}
				}
			}
		}
	})
}

func FuzzScan(f *testing.F) {
	f.Add(appendRecord(appendRecord(nil, kindIntent, id(1), []byte("x")), kindSettle, id(1), nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		end, damaged := scan(data, func(r record) {
			if int(r.off)+len(r.payload) > len(data) {
				t.Fatal("a payload outside the file")
			}
		})
		if int(end) > len(data) || int(damaged) > len(data) {
			t.Fatal("more than there is")
		}
	})
}

// A call's two appends, with a group fsync behind them.
func BenchmarkCall(b *testing.B) {
	j, _, err := Open(Options{Dir: b.TempDir()})
	must(b, err)
	defer func() { _ = j.Close() }()
	payload := make([]byte, 300)
	n := 0
	for b.Loop() {
		n++
		must(b, j.Intent(id(n), payload))
		must(b, j.Settle(id(n), payload))
		if n%100 == 0 {
			rows, err := j.Pending(100)
			must(b, err)
			j.Flushed(rows)
		}
	}
	b.ReportMetric(float64(j.syncs.Load())/float64(b.N), "fsyncs/op")
}
