package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// segment is one file.
type segment struct {
	path   string
	number int
	file   *os.File
	size   int64
	live   int // records that are still needed
}

// chain is the folder of one process.
type chain struct {
	dir      string
	lock     *os.File
	segments []*segment // oldest first
}

const suffix = ".journal"

func create(dir string, number int) (*segment, error) {
	path := filepath.Join(dir, fmt.Sprintf("%010d%s", number, suffix))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &segment{path: path, number: number, file: f}, nil
}

func (s *segment) remove() {
	_ = s.file.Close()
	_ = os.Remove(s.path) // one that stays is read again, and its rows are known by their ids
}

func (p place) read() ([]byte, error) {
	b := make([]byte, p.len)
	if _, err := p.in.file.ReadAt(b, p.off); err != nil {
		return nil, fmt.Errorf("spend journal: %w", err)
	}
	return b, nil
}

// window is a part of a file: payloads that are read one after the other stand close together in it.
type window struct {
	of    *segment
	from  int64
	bytes []byte
}

const windowBytes = 128 << 10

// read is [place.read] of many places, in the order of their files, with few system calls. It gives a copy.
func (w *window) read(p place) ([]byte, error) {
	if p.len > windowBytes/4 {
		return p.read()
	}
	if p.in != w.of || p.off < w.from || p.off+int64(p.len) > w.from+int64(len(w.bytes)) {
		if w.bytes == nil {
			w.bytes = make([]byte, 0, windowBytes)
		}
		n, err := p.in.file.ReadAt(w.bytes[:windowBytes], p.off)
		if n < p.len {
			w.of = nil
			return nil, fmt.Errorf("spend journal: %w", err)
		}
		w.of, w.from, w.bytes = p.in, p.off, w.bytes[:n]
	}
	return bytes.Clone(w.bytes[p.off-w.from:][:p.len:p.len]), nil
}

func (c *chain) live() int {
	n := 0
	for _, s := range c.segments {
		n += s.live
	}
	return n
}

func (c *chain) close() {
	for _, s := range c.segments {
		_ = s.file.Close()
	}
	_ = c.lock.Close()
}

// remove takes the whole folder away. The lock goes last: who takes it then finds an empty folder.
func (c *chain) remove() {
	for _, s := range c.segments {
		s.remove()
	}
	_ = os.Remove(c.lock.Name())
	_ = os.Remove(c.dir)
	_ = c.lock.Close()
}

const mostFolders = 1024

// adopt locks every folder that no living process holds, takes the first for its own, and reads them all.
func (j *Journal) adopt() ([]Entry, error) {
	if err := os.MkdirAll(j.o.Dir, 0o700); err != nil {
		return nil, err
	}
	var found []*chain
	for n := range mostFolders {
		dir := filepath.Join(j.o.Dir, strconv.Itoa(n))
		if _, err := os.Stat(dir); err != nil && (j.own != nil || !errors.Is(err, fs.ErrNotExist)) {
			continue
		}
		c, err := lock(dir)
		if err != nil {
			return nil, err
		}
		if c == nil {
			continue // another process's
		}
		if found = append(found, c); j.own == nil {
			j.own = c
		} else {
			j.adopted = append(j.adopted, c)
		}
	}
	if j.own == nil {
		return nil, fmt.Errorf("all %d folders are in use", mostFolders)
	}
	var order []ID
	intents := map[ID][]byte{}
	settled := map[ID][]byte{}
	for _, c := range found {
		if err := j.load(c, &order, intents, settled); err != nil {
			return nil, err
		}
	}
	entries := make([]Entry, 0, len(order))
	for _, id := range order {
		if j.live[id] == nil {
			continue // settled with nothing
		}
		entries = append(entries, Entry{ID: id, Intent: intents[id], Settled: settled[id]})
		if settled[id] != nil {
			j.pending.push(id)
		}
	}
	j.sweep()
	return entries, nil
}

// lock takes a folder; nil without an error: another process has it.
func lock(dir string) (*chain, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, err
	}
	return &chain{dir: dir, lock: f}, nil
}

// load reads a folder's files.
func (j *Journal) load(c *chain, order *[]ID, intents, settled map[ID][]byte) error {
	names, err := filepath.Glob(filepath.Join(c.dir, "*"+suffix))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for i, name := range names {
		number, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), suffix))
		if err != nil {
			continue // nobody's
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		seg := &segment{path: name, number: number, file: f}
		c.segments = append(c.segments, seg)
		end, damaged := scan(data, func(r record) { j.replay(seg, r, order, intents, settled) })
		seg.size = end
		if damaged > 0 {
			j.o.Log.Error("the spend journal is damaged: calls in it may be missing from the ledger", "file", name, "bytes", damaged)
		}
		if tail := len(data) - int(end); tail > 0 && i == len(names)-1 {
			j.o.Log.Info("the spend journal ends in a record that was not written whole", "file", name, "bytes", tail)
		}
	}
	return nil
}

func (j *Journal) replay(seg *segment, r record, order *[]ID, intents, settled map[ID][]byte) {
	at := place{in: seg, off: r.off, len: len(r.payload)}
	it := j.live[r.id]
	if it == nil {
		it = &item{}
		j.live[r.id] = it
		*order = append(*order, r.id)
	}
	if r.kind == kindIntent {
		if it.intent.in != nil { // carried on from an older file
			it.intent.in.live--
		}
		it.intent, intents[r.id] = at, r.payload
		seg.live++
		return
	}
	if it.settled.in != nil {
		return
	}
	it.settled = at
	seg.live++
	if len(r.payload) == 0 {
		j.forget(r.id)
		return
	}
	settled[r.id] = r.payload
}

// syncDir makes a new file's name survive a lost machine.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
