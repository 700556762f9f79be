package budget

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicegw/sluice/internal/money"
)

//go:embed lua/*.lua
var scripts embed.FS

var (
	holdScript, settleScript, adjustScript = script("hold"), script("settle"), script("adjust")
	ownScript, beatScript                  = script("own"), script("beat")
)

// script panics if one is missing: that is a broken build, met by every test.
func script(name string) *redis.Script {
	text, err := scripts.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic("budget: " + err.Error())
	}
	return redis.NewScript(string(text))
}

// The hash tag puts all keys on one node of a cluster, where one script reaches them all.
const (
	processesKey  = "{sluice}:budget-processes"
	epochKey      = "{sluice}:budget-epoch"
	touchedPrefix = "{sluice}:budget-of:"   // + process: the scopes that it has touched
	turnPrefix    = "{sluice}:budget-turn:" // + process: its generation
	reconcileKey  = "{sluice}:budget-reconciler"
)

var escaper = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

// key is the scope's hash.
func (s Scope) key() string {
	return "{sluice}:budget:" + s.Kind.String() + ":" + escaper.Replace(s.ID)
}

// answer is what hold.lua says.
type answer struct {
	what  string
	epoch string
	turn  int64 // this process's generation when it asked
	n     []int64
}

func readAnswer(raw []any) (a answer, err error) {
	if len(raw) < 2 {
		return a, fmt.Errorf("budget: the script's answer has %d parts", len(raw))
	}
	a.what, _ = raw[0].(string)
	if a.what == "epoch" {
		a.epoch, _ = raw[1].(string)
		return a, nil
	}
	for _, v := range raw[1:] {
		var n int64
		switch v := v.(type) {
		case int64:
			n = v
		case string:
			if n, err = strconv.ParseInt(v, 10, 64); err != nil {
				return a, err
			}
		}
		a.n = append(a.n, n)
	}
	return a, nil
}

// hold runs the script once, and notes what was held.
func (s *Shared) hold(ctx context.Context, h *Hold, want, least money.Amount) (answer, error) {
	keys := make([]string, 3, 3+len(h.shared))
	keys[0], keys[1], keys[2] = epochKey, touchedPrefix+s.o.ID, turnPrefix+s.o.ID
	s.mu.RLock()
	defer s.mu.RUnlock()
	args := []any{s.o.ID, s.epoch, s.turn, int64(want), int64(least), s.o.Trust.Microseconds()}
	for i := range h.shared {
		p := &h.shared[i]
		keys = append(keys, p.limit.Scope.key())
		args = append(args, int64(p.limit.Max), p.since)
	}
	short, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	raw, err := holdScript.Run(short, s.o.Client, keys, args...).Slice()
	if err != nil {
		for i := range h.shared { // it may have been held all the same
			s.touch(&h.shared[i], 0, -1).taint(s)
		}
		if ctx.Err() != nil {
			return answer{}, ctx.Err()
		}
		return answer{}, s.failed(err)
	}
	s.heard()
	a, err := readAnswer(raw)
	a.turn = s.turn
	if err != nil || a.what != "ok" {
		return a, err
	}
	if len(a.n) != 1+2*len(h.shared) {
		return a, fmt.Errorf("budget: the script's answer has %d numbers for %d scopes", len(a.n), len(h.shared))
	}
	h.Amount = money.Amount(a.n[0])
	for i := range h.shared {
		h.shared[i].since = a.n[2+2*i]
		s.touch(&h.shared[i], h.Amount, money.Amount(a.n[1+2*i]))
	}
	return a, nil
}

// touch finds what is known of a scope, in the part's window, and adds to what is held. spent below 0 is not known.
func (s *Shared) touch(p *sharedPart, held, spent money.Amount) *own {
	v, ok := s.own.Load(p.limit.Scope)
	if !ok {
		v, _ = s.own.LoadOrStore(p.limit.Scope, &own{since: p.since})
	}
	o := v.(*own)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since < p.since {
		o.since, o.held, o.unflushed = p.since, 0, 0
	}
	if o.since == p.since {
		o.held += held
		if spent >= 0 {
			o.spent = spent
		}
	}
	o.limit, o.used = p.limit, s.o.Now()
	return o
}

func (o *own) taint(s *Shared) {
	o.mu.Lock()
	o.dirty = true
	o.mu.Unlock()
	s.dirty.Store(true)
}

// doubt says that the server may not know what is true of a scope.
func (s *Shared) doubt(scope Scope) {
	if v, ok := s.own.Load(scope); ok {
		v.(*own).taint(s)
	}
}

// settle gives back what was held and adds the costs, here and on the server.
func (s *Shared) settle(h *Hold, costs []money.Amount) []reached {
	s.mu.RLock()
	defer s.mu.RUnlock()
	keys, args := []string{turnPrefix + s.o.ID}, []any{s.o.ID, s.turn}
	for i := range h.shared {
		p := &h.shared[i]
		o := s.touch(p, -h.Amount, -1)
		o.mu.Lock()
		if o.since == p.since {
			o.held = max(o.held, 0)
			o.unflushed += costs[i]
		}
		o.mu.Unlock()
		keys = append(keys, p.limit.Scope.key())
		args = append(args, strconv.FormatInt(p.since, 10), int64(h.Amount), int64(costs[i]), int64(p.limit.Soft), int64(p.limit.Max))
	}
	var found []int64
	err := ErrUnreachable
	if !s.gone.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), s.patience())
		defer cancel()
		found, err = settleScript.Run(ctx, s.o.Client, keys, args...).Int64Slice()
	}
	if err != nil || len(found) != 2*len(h.shared) {
		for i := range h.shared {
			s.doubt(h.shared[i].limit.Scope)
		}
		_ = s.failed(err)
		return nil
	}
	s.heard()
	out := make([]reached, len(h.shared))
	for i := range h.shared {
		if found[2*i] >= 0 {
			out[i] = reached{bits: uint8(found[2*i+1]), spent: money.Amount(found[2*i])}
			s.touch(&h.shared[i], 0, out[i].spent)
		}
	}
	return out
}

// adjust runs the script of that name on one scope; what it finds is spent, unflushed and whether that is known.
// The caller holds mu, so that the generation is this one's.
func (s *Shared) adjust(ctx context.Context, scope Scope, since int64, what string, amount money.Amount, told uint8, version int64) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	raw, err := adjustScript.Run(ctx, s.o.Client, []string{scope.key(), turnPrefix + s.o.ID},
		strconv.FormatInt(since, 10), what, int64(amount), s.o.ID, told, s.turn, version).Slice()
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	a, err := readAnswer(append([]any{what}, raw...))
	return a.n, err
}

// failed notes an answer that did not come; the error is for callers: the server's own words stay in the log.
func (s *Shared) failed(err error) error {
	if err == nil || errors.Is(err, ErrUnreachable) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if s.late.Add(1) < doubts && (errors.Is(err, context.DeadlineExceeded) || isTimeout(err)) {
		s.nudge()
		return ErrUnreachable
	}
	if s.gone.CompareAndSwap(false, true) && s.o.Trouble != nil {
		s.o.Trouble(err)
	}
	s.nudge()
	return ErrUnreachable
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// heard notes an answer.
func (s *Shared) heard() {
	s.late.Store(0)
	s.lastHeard.Store(time.Now().UnixNano())
}

// patience is how long to wait for an answer: longer where the server was heard of just now, and so is slow, or
// this machine is, but not gone.
func (s *Shared) patience() time.Duration {
	if time.Since(time.Unix(0, s.lastHeard.Load())) < time.Second {
		return max(s.o.Patience, whileHeard)
	}
	return s.o.Patience
}

// nudge has Run look now.
func (s *Shared) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// register writes what this process holds, and has not brought to the database: of all scopes if the server has
// another epoch or another generation of this process, else of those that are in doubt. No call holds or settles
// meanwhile.
func (s *Shared) register(ctx context.Context, epoch string, turn int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if turn != s.turn {
		return nil // another call was faster
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s.turn++
	if err := s.o.Client.Set(ctx, turnPrefix+s.o.ID, s.turn, 0).Err(); err != nil {
		return err
	}
	s.dirty.Store(false)
	all := epoch != s.epoch
	var err error
	s.own.Range(func(k, v any) bool {
		o := v.(*own)
		o.mu.Lock()
		since, held, unflushed, due := o.since, o.held, o.unflushed, all || o.dirty
		o.dirty = false
		o.mu.Unlock()
		if !due {
			return true
		}
		if err = s.write(ctx, k.(Scope).key(), since, held, unflushed); err != nil {
			o.taint(s)
		}
		return err == nil
	})
	if err != nil {
		s.epoch = "" // all of it, next time
		return err
	}
	s.anew.Store(true)
	s.epoch = epoch
	return nil
}

// write has the server know what this process has of a scope.
func (s *Shared) write(ctx context.Context, key string, since int64, held, unflushed money.Amount) error {
	return ownScript.Run(ctx, s.o.Client, []string{touchedPrefix + s.o.ID, key, turnPrefix + s.o.ID}, s.o.ID,
		strconv.FormatInt(since, 10), strconv.FormatInt(int64(held), 10), strconv.FormatInt(int64(unflushed), 10), s.turn).Err()
}

// Rejoin writes anew what the server has of an earlier process of this one's ID: it held what nobody holds any more,
// and what it had settled is in the database. Call it once all of that is there.
func (s *Shared) Rejoin(ctx context.Context) error {
	keys, err := s.o.Client.SMembers(ctx, touchedPrefix+s.o.ID).Result()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := map[string]*own{}
	s.own.Range(func(k, v any) bool { mine[k.(Scope).key()] = v.(*own); return true })
	for _, key := range keys {
		window, err := s.o.Client.HGet(ctx, key, "w").Int64()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return err
		}
		var held, unflushed money.Amount
		if o := mine[key]; o != nil && o.since == window {
			held, unflushed = o.held, o.unflushed
		}
		if err := s.write(ctx, key, window, held, unflushed); err != nil {
			return err
		}
	}
	return nil
}
