package fetch

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// What one request may have fetched.
const (
	maxFiles    = 100
	maxAtOnce   = 5
	wholeTime   = time.Minute
	filesInSize = 3       // all its files together, in units of the largest one
	maxKept     = 1 << 28 // of all requests together; what has no room is fetched again when it is needed again
)

// Memo remembers what the URLs of one request led to, so that its further attempts do not fetch them again.
// The zero Memo is ready; it must not be copied, and is safe for concurrent use.
type Memo struct {
	mu       sync.Mutex
	entries  map[string]*entry
	bytes    int64
	deadline time.Time
}

type entry struct {
	done    chan struct{}
	file    File
	failure *Failure
}

// Get returns the file of a URL. If it has to be fetched, the fetches of ahead, which will be asked for
// next, begin as well.
func (m *Memo) Get(f *Fetcher, url string, ahead func() []string) (File, *Failure) {
	m.mu.Lock()
	e, known := m.entries[url]
	if !known && ahead != nil {
		m.start(f, ahead())
		e, known = m.entries[url]
	}
	if !known {
		if e = m.add(url); e == nil {
			m.mu.Unlock()
			return File{}, &Failure{Why: fmt.Sprintf("is one too many: at most %d files are fetched for a request", maxFiles)}
		}
		go m.fetch(f, url, e)
	}
	m.mu.Unlock()
	<-e.done
	return e.file, e.failure
}

// start fetches what is not known yet, a few at a time. The lock is held.
func (m *Memo) start(f *Fetcher, urls []string) {
	type job struct {
		url string
		e   *entry
	}
	jobs := make(chan job, maxFiles)
	for _, url := range urls {
		if _, known := m.entries[url]; known {
			continue
		}
		e := m.add(url)
		if e == nil {
			break
		}
		jobs <- job{url, e}
	}
	close(jobs)
	for range min(maxAtOnce, len(jobs)) {
		go func() {
			for j := range jobs {
				m.fetch(f, j.url, j.e)
			}
		}()
	}
}

// add makes the entry of a URL that is about to be fetched; nil: there are too many. The lock is held.
func (m *Memo) add(url string) *entry {
	if len(m.entries) >= maxFiles {
		return nil
	}
	if m.entries == nil {
		m.entries = map[string]*entry{}
		m.deadline = time.Now().Add(wholeTime)
	}
	e := &entry{done: make(chan struct{})}
	m.entries[url] = e
	return e
}

func (m *Memo) fetch(f *Fetcher, url string, e *entry) {
	defer close(e.done)
	ctx, cancel := context.WithDeadline(context.Background(), m.deadline)
	defer cancel()
	e.file, e.failure = f.Get(ctx, url)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := int64(len(e.file.Data))
	if m.bytes += n; m.bytes > filesInSize*f.maxBytes && e.failure == nil {
		e.file = File{}
		e.failure = &Failure{Why: fmt.Sprintf("is too large: the files of a request may have %d bytes together", filesInSize*f.maxBytes)}
		return
	}
	if !f.keep(e, n) {
		delete(m.entries, url)
		m.bytes -= n
	}
}

// keep accounts for the bytes of an entry until it is garbage. False: there is no room to keep it.
func (f *Fetcher) keep(e *entry, n int64) bool {
	if f.kept.Add(n) > maxKept {
		f.kept.Add(-n)
		return false
	}
	runtime.AddCleanup(e, func(n int64) { f.kept.Add(-n) }, n)
	return true
}
