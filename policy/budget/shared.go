package budget

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicegw/sluice/internal/money"
)

//go:embed lua/*.lua
var scripts embed.FS

var holdScript, settleScript, fillScript, beatScript = script("hold"), script("settle"), script("fill"), script("beat")

// script panics if one is missing: that is a broken build, met by every test.
func script(name string) *redis.Script {
	text, err := scripts.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic("budget: " + err.Error())
	}
	return redis.NewScript(string(text))
}

// All keys have one hash tag, so that one script reaches all scopes of a call.
const (
	scopePrefix  = "{sluice}:budget:"
	processesKey = "{sluice}:budget-processes"
	epochKey     = "{sluice}:budget-epoch"
)

const (
	beatEvery = time.Second
	// reopenAfter is how long processes have, when the server has lost its data, to bring what calls have cost to the
	// ledger and to write down what they hold, before calls are let in again.
	reopenAfter = 3 * time.Second
	// shareTimeout is how long the server may take; after one failure nobody waits until it was seen again.
	shareTimeout = 500 * time.Millisecond
	// keepFor is how long a scope's numbers outlive its last call.
	keepFor = 48 * time.Hour
	// pollEvery is how often a call asks that waits for room.
	pollEvery = 50 * time.Millisecond
)

// ErrUnreachable is wrapped by the errors of holds while the server cannot be asked.
var ErrUnreachable = errors.New("Redis, which keeps the budgets, cannot be reached")

// ErrReopening is wrapped by the errors of holds after the server has lost its data, until the numbers are true again.
var ErrReopening = errors.New("Redis has lost its data: budgets are being read from the ledger")

// Shared keeps budgets in a Redis or Valkey (7 or later), for several processes: one round trip for all scopes of a call.
//
// Every process beats once a second. What a process that is silent for 15 s holds is given back. If the server has lost
// its data, which an epoch tells, every process brings what it knows to the ledger, writes down what its calls hold, and
// calls are let in again after 3 s, with sums from the ledger. See [Shared.Run].
type Shared struct {
	o      Options
	client redis.UniversalClient
	me     string
	// Flush brings what calls have cost to the ledger: sums are read from there when the server has lost its data.
	Flush func(context.Context) error
	// Trouble is told when the server is out of reach (err) and when it is back (nil).
	Trouble func(error)

	calendar atomic.Pointer[Calendar]
	down     atomic.Pointer[error]
	epoch    atomic.Pointer[string]

	// gate is held to read while a call's hold is changed here and there, and to write while all holds are written anew.
	gate sync.RWMutex

	mu     sync.Mutex
	known  map[Scope]*sharedScope // those that this process has used
	unsent []sharedSettle         // what the server has not heard of
}

// sharedScope is what this process knows of a scope.
type sharedScope struct {
	limit  Limit
	window int64        // since, in microseconds
	spent  money.Amount // as the server last said
	held   money.Amount // by this process's calls, in window
	used   time.Time
}

// sharedPart is one scope of a hold.
type sharedPart struct {
	limit  Limit
	window int64
}

type sharedSettle struct {
	parts []sharedPart
	held  money.Amount
	cost  []money.Amount
}

// mostUnsent bounds what is kept for a server that is away.
const mostUnsent = 100_000

// NewShared makes a keeper over a client, with a process id of its own.
func NewShared(client redis.UniversalClient, o Options) *Shared {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Shared{o: o, client: client, me: rand.Text(), known: map[Scope]*sharedScope{}}
	s.calendar.Store(&o.Calendar)
	none := ""
	s.epoch.Store(&none)
	return s
}

// Calendar implements [Keeper].
func (s *Shared) Calendar() Calendar { return *s.calendar.Load() }

// Use implements [Keeper].
func (s *Shared) Use(c Calendar) { s.calendar.Store(&c) }

// Run beats until ctx ends.
func (s *Shared) Run(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		s.saw(s.beat(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Reachable tells whether the server answered last.
func (s *Shared) Reachable() bool { return s.down.Load() == nil }

func (s *Shared) saw(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	switch {
	case err == nil:
		if s.down.Swap(nil) != nil && s.Trouble != nil {
			s.Trouble(nil)
		}
	case s.down.Swap(&err) == nil && s.Trouble != nil:
		s.Trouble(err)
	}
}

// beat says that this process lives, and does its part in a new epoch.
func (s *Shared) beat(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	found, err := beatScript.Run(asking, s.client, []string{processesKey, epochKey}, s.me, rand.Text(), reopenAfter.Milliseconds()).Slice()
	if err != nil {
		return err
	}
	if len(found) != 2 {
		return fmt.Errorf("budget: the beat was answered with %d values", len(found))
	}
	epoch, _ := found[0].(string)
	if epoch == *s.epoch.Load() {
		if err := s.sendUnsent(asking); err != nil || s.down.Load() == nil {
			return err
		}
		return s.rewrite(asking) // what was asked for before it went away may have been granted without an answer
	}
	if s.Flush != nil {
		flushing, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := s.Flush(flushing); err != nil {
			return fmt.Errorf("the ledger, from which budgets are to be read, cannot be written: %w", err)
		}
	}
	if err := s.register(asking, epoch); err != nil {
		return err
	}
	s.epoch.Store(&epoch)
	return nil
}

// rewrite says what this process's calls hold of every scope.
func (s *Shared) rewrite(ctx context.Context) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for scope, it := range s.known {
		var err error
		if it.held > 0 {
			err = s.client.HSet(ctx, scopeKey(scope), "h:"+s.me, int64(it.held)).Err()
		} else {
			err = s.client.HDel(ctx, scopeKey(scope), "h:"+s.me).Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// register writes down what this process's calls hold, in scopes whose sums are read from the ledger.
func (s *Shared) register(ctx context.Context, epoch string) error {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsent = nil // it is in the ledger
	for scope, it := range s.known {
		if it.held == 0 {
			delete(s.known, scope)
			continue
		}
		spent, err := s.load(ctx, scope, time.UnixMicro(it.window))
		if err != nil {
			return err
		}
		if err := s.fillScope(ctx, epoch, scope, &it.limit, it.window, spent, false); err != nil {
			return err
		}
		if err := s.client.HSet(ctx, scopeKey(scope), "h:"+s.me, int64(it.held)).Err(); err != nil {
			return err
		}
	}
	return nil
}

func scopeKey(s Scope) string { return scopePrefix + s.Kind.String() + ":" + s.ID }

func (s *Shared) load(ctx context.Context, scope Scope, since time.Time) (money.Amount, error) {
	if since.UnixMicro() == 0 {
		since = time.Time{}
	}
	if s.o.Load == nil {
		return 0, nil
	}
	return s.o.Load(ctx, scope, since)
}

func (s *Shared) fillScope(ctx context.Context, epoch string, scope Scope, l *Limit, window int64, spent money.Amount, replace bool) error {
	again := "0"
	if replace {
		again = "1"
	}
	return fillScript.Run(ctx, s.client, []string{epochKey, scopeKey(scope)}, epoch, window, l.Window.String(), int64(spent), l.marks(spent), lives(l), again).Err()
}

// lives is how long a scope's numbers are kept, in seconds: beyond the end of its window.
func lives(*Limit) int64 { return int64(keepFor / time.Second) }

// since is the beginning of a limit's window, in microseconds; 0: for all time.
func (s *Shared) since(l *Limit, now time.Time) int64 {
	if l.Window.IsZero() {
		return 0
	}
	return s.calendar.Load().Start(l.Window, now).UnixMicro()
}

// Hold implements [Keeper].
func (s *Shared) Hold(ctx context.Context, limits []Limit, want, least money.Amount) (*Hold, *Exceeded, error) {
	h := &Hold{Amount: want}
	for i := range limits {
		if !h.has(limits[i].Scope) {
			h.shared = append(h.shared, sharedPart{limit: limits[i]})
		}
	}
	e, err := s.take(ctx, h, want, least, false)
	if err != nil || e != nil {
		return nil, e, err
	}
	return h, nil, nil
}

func (h *Hold) has(scope Scope) bool {
	for i := range h.shared {
		if h.shared[i].limit.Scope == scope {
			return true
		}
	}
	return false
}

// Extend implements [Keeper].
func (s *Shared) Extend(ctx context.Context, h *Hold, more money.Amount) (bool, error) {
	if more <= 0 {
		return true, nil
	}
	before := h.Amount
	e, err := s.take(ctx, h, more, more, true)
	if err != nil || e != nil {
		h.Amount = before
		return false, err
	}
	h.Amount = before + more
	return true, nil
}

// take asks for an amount on all scopes of h, filling in those that the server does not know.
func (s *Shared) take(ctx context.Context, h *Hold, want, least money.Amount, adding bool) (*Exceeded, error) {
	now := s.o.Now()
	s.gate.RLock()
	defer s.gate.RUnlock()
	for range 2 + len(h.shared) {
		if err := s.down.Load(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, *err)
		}
		found, err := s.askHold(ctx, h, want, least, adding, now)
		if err != nil {
			if ctx.Err() == nil {
				s.saw(err)
			}
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		switch code, n := found[0], found[1]; code {
		case 0:
			s.took(h, found, adding, now)
			return nil, nil
		case 1:
			if err := s.fillIn(ctx, &h.shared[n-1].limit, now); err != nil {
				return nil, err
			}
		case 2:
			return s.exceeded(&h.shared[n-1].limit, money.Amount(found[2]), money.Amount(found[3]), least, now), nil
		default:
			return nil, ErrReopening
		}
	}
	return nil, fmt.Errorf("%w: its data does not stay", ErrUnreachable)
}

func (s *Shared) askHold(ctx context.Context, h *Hold, want, least money.Amount, adding bool, now time.Time) ([]int64, error) {
	keys := append(make([]string, 0, 2+len(h.shared)), processesKey, epochKey)
	args := append(make([]any, 0, 5+5*len(h.shared)), s.me, *s.epoch.Load(), int64(want), int64(least), bitOf(adding))
	for i := range h.shared {
		p := &h.shared[i]
		keys = append(keys, scopeKey(p.limit.Scope))
		args = append(args, s.since(&p.limit, now), p.limit.Window.String(), int64(p.limit.Max), lives(&p.limit), p.window)
	}
	asking, cancel := context.WithTimeout(ctx, shareTimeout)
	defer cancel()
	found, err := holdScript.Run(asking, s.client, keys, args...).Slice()
	if err != nil {
		return nil, err
	}
	out := make([]int64, len(found))
	for i, v := range found {
		switch v := v.(type) {
		case int64:
			out[i] = v
		case string:
			if out[i], err = strconv.ParseInt(v, 10, 64); err != nil {
				return nil, err
			}
		}
	}
	if len(out) < 4 || out[0] == 0 && len(out) != 4+len(h.shared) || (out[0] == 1 || out[0] == 2) && (out[1] < 1 || int(out[1]) > len(h.shared)) {
		return nil, fmt.Errorf("budget: the script gave %d numbers for %d scopes", len(out), len(h.shared))
	}
	return out, nil
}

func bitOf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// took notes what the server has given.
func (s *Shared) took(h *Hold, found []int64, adding bool, now time.Time) {
	amount := money.Amount(found[1])
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range h.shared {
		p := &h.shared[i]
		window := found[4+i]
		if adding && window != p.window {
			continue
		}
		p.window = window
		it := s.known[p.limit.Scope]
		if it == nil {
			it = &sharedScope{}
			s.known[p.limit.Scope] = it
		}
		if it.window != window {
			it.window, it.held, it.spent = window, 0, 0
		}
		it.limit, it.used = p.limit, now
		it.held += amount
	}
	if !adding {
		h.Amount = amount
	}
}

// fillIn reads what a scope has spent from the ledger.
func (s *Shared) fillIn(ctx context.Context, l *Limit, now time.Time) error {
	since := s.since(l, now)
	spent, err := s.load(ctx, l.Scope, time.UnixMicro(since))
	if err != nil {
		return fmt.Errorf("the spend of %s %s could not be read: %w", l.Scope.Kind, l.Scope.ID, err)
	}
	if err := s.fillScope(ctx, *s.epoch.Load(), l.Scope, l, since, spent, false); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	s.note(l, since, spent, now)
	return nil
}

func (s *Shared) note(l *Limit, window int64, spent money.Amount, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.known[l.Scope]
	if it == nil {
		it = &sharedScope{}
		s.known[l.Scope] = it
	}
	if it.window != window {
		it.held = 0
	}
	it.limit, it.window, it.spent, it.used = *l, window, spent, now
}

func (s *Shared) exceeded(l *Limit, spent, held, least money.Amount, now time.Time) *Exceeded {
	e := &Exceeded{Limit: *l, Spent: spent, Held: held}
	if !l.Window.IsZero() {
		e.Reset = s.calendar.Load().End(l.Window, now)
	}
	if free := l.Max - spent; free > 0 && free >= least && held > 0 {
		e.Busy = true
		changed := make(chan struct{})
		time.AfterFunc(pollEvery, func() { close(changed) })
		e.Changed = changed
	}
	return e
}

// Settle implements [Keeper]. What a server out of reach does not hear of, it hears later.
func (s *Shared) Settle(h *Hold, cost func(Scope) money.Amount) {
	if h == nil || h.settled || len(h.shared) == 0 {
		return
	}
	h.settled = true
	s.gate.RLock()
	defer s.gate.RUnlock()
	one := sharedSettle{parts: h.shared, held: h.Amount}
	for i := range h.shared {
		one.cost = append(one.cost, cost(h.shared[i].limit.Scope))
	}
	s.mu.Lock()
	for i := range h.shared {
		p := &h.shared[i]
		if it := s.known[p.limit.Scope]; it != nil && it.window == p.window {
			it.held -= h.Amount
			it.spent += one.cost[i]
		}
	}
	s.mu.Unlock()
	if s.down.Load() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
		defer cancel()
		err := s.send(ctx, &one)
		if err == nil {
			return
		}
		s.saw(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unsent) < mostUnsent {
		s.unsent = append(s.unsent, one)
	}
}

func (s *Shared) send(ctx context.Context, one *sharedSettle) error {
	keys := make([]string, 0, len(one.parts))
	args := append(make([]any, 0, 1+5*len(one.parts)), s.me)
	for i := range one.parts {
		l := &one.parts[i].limit
		keys = append(keys, scopeKey(l.Scope))
		args = append(args, one.parts[i].window, int64(one.held), int64(one.cost[i]), int64(l.Max), int64(l.Soft))
	}
	found, err := settleScript.Run(ctx, s.client, keys, args...).Int64Slice()
	if err != nil {
		return err
	}
	if len(found) != 2*len(one.parts) {
		return fmt.Errorf("budget: the script gave %d numbers for %d scopes", len(found), len(one.parts))
	}
	for i := range one.parts {
		if found[2*i] >= 0 {
			s.settled(&one.parts[i], money.Amount(found[2*i]), uint8(found[2*i+1]))
		}
	}
	return nil
}

// settled notes what a scope has spent now, and tells of the marks that it reached.
func (s *Shared) settled(p *sharedPart, spent money.Amount, reached uint8) {
	s.mu.Lock()
	if it := s.known[p.limit.Scope]; it != nil && it.window == p.window {
		it.spent = spent
	}
	s.mu.Unlock()
	if s.o.Event == nil || reached == 0 {
		return
	}
	e := Event{Limit: p.limit, Spent: spent}
	if !p.limit.Window.IsZero() {
		e.Reset = s.calendar.Load().End(p.limit.Window, time.UnixMicro(p.window))
	}
	for bit, mark := range markOf {
		if reached&(1<<bit) != 0 {
			e.Mark = mark
			s.o.Event(e)
		}
	}
}

func (s *Shared) sendUnsent(ctx context.Context) error {
	for {
		s.mu.Lock()
		if len(s.unsent) == 0 {
			s.mu.Unlock()
			return nil
		}
		one := s.unsent[0]
		s.mu.Unlock()
		if err := s.send(ctx, &one); err != nil {
			return err
		}
		s.mu.Lock()
		if len(s.unsent) > 0 {
			s.unsent = s.unsent[1:]
		}
		s.mu.Unlock()
	}
}

// Spent implements [Keeper], with what the server said when the scope was last used here.
func (s *Shared) Spent(scope Scope) (money.Amount, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.known[scope]
	if it == nil {
		return 0, false
	}
	if s.since(&it.limit, s.o.Now()) != it.window {
		return 0, true
	}
	return it.spent, true
}

// Forget implements [Keeper]: for all processes.
func (s *Shared) Forget(scope Scope) {
	ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
	defer cancel()
	s.mu.Lock()
	it := s.known[scope]
	s.mu.Unlock()
	if it == nil { // nobody here holds anything of it
		_ = s.client.HDel(ctx, scopeKey(scope), "w").Err()
		return
	}
	spent, err := s.load(ctx, scope, time.UnixMicro(it.window))
	if err != nil {
		return
	}
	s.Correct(scope, time.UnixMicro(it.window), spent)
}

// Correct implements [Keeper].
func (s *Shared) Correct(scope Scope, since time.Time, spent money.Amount) (off money.Amount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.known[scope]
	if it == nil || it.window != micros(since) {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
	defer cancel()
	if err := s.fillScope(ctx, *s.epoch.Load(), scope, &it.limit, it.window, spent, true); err != nil {
		return 0
	}
	off = it.spent - spent
	it.spent = spent
	return off
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// All implements [Keeper], with what the server says now.
func (s *Shared) All(f func(State)) {
	s.mu.Lock()
	list := make([]State, 0, len(s.known))
	for scope, it := range s.known {
		state := State{Scope: scope, Spent: it.spent, Held: it.held}
		if it.window != 0 {
			state.Since = time.UnixMicro(it.window)
		}
		list = append(list, state)
	}
	s.mu.Unlock()
	for _, state := range list {
		ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
		now, err := s.client.HMGet(ctx, scopeKey(state.Scope), "w", "s").Result()
		cancel()
		if err != nil || len(now) != 2 || now[0] != strconv.FormatInt(micros(state.Since), 10) {
			continue
		}
		text, _ := now[1].(string)
		spent, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			continue
		}
		state.Spent = money.Amount(spent)
		s.mu.Lock()
		if it := s.known[state.Scope]; it != nil && it.window == micros(state.Since) {
			it.spent = state.Spent
		}
		s.mu.Unlock()
		f(state)
	}
}

// Sweep implements [Keeper].
func (s *Shared) Sweep(before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for scope, it := range s.known {
		if it.held == 0 && it.used.Before(before) {
			delete(s.known, scope)
		}
	}
}
