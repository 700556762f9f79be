package ratelimit

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var scripts embed.FS

var reserveScript, endScript, beatScript = script("reserve"), script("end"), script("beat")

// script panics if one is missing: that is a broken build, met by every test.
func script(name string) *redis.Script {
	text, err := scripts.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic("ratelimit: " + err.Error())
	}
	return redis.NewScript(string(text))
}

const (
	// prefix begins all keys; its hash tag puts them on one node of a cluster, where one script reaches them all.
	prefix = "{sluice}:limit:"

	processesKey = "{sluice}:processes" // who lives: process → last beat
	epochKey     = "{sluice}:limits-epoch"

	// silence is after how long without a beat a process counts as dead, and its parallel calls as ended.
	silence = 15 * time.Second
)

// Redis is the [Limiter] of several processes: counters in a Redis or Valkey (7 or later), one round trip for a
// call. It needs [Redis.Beat] now and then: a process that is silent for 15 s loses its parallel calls, so that
// those of a crashed one come back.
//
// Parallel calls are counted by process, and each process knows its own. When the server has lost its data, or
// was out of reach, the next beat writes them anew; of windows, what was lost stays lost, for a minute.
type Redis struct {
	client redis.UniversalClient
	clock  func() time.Time // nil: the server's
	me     string

	mu    sync.RWMutex // held to write while own is written to the server
	own   sync.Map     // key of a counter of parallel calls → *count
	epoch string
	dirty bool // the server may hold something else than own
}

type count struct {
	mu sync.Mutex
	n  int64
}

// NewRedis makes a limiter of its own process id. A nil clock is the server's, which is what processes should
// share; another one is for tests.
func NewRedis(client redis.UniversalClient, clock func() time.Time) *Redis {
	return &Redis{client: client, clock: clock, me: rand.Text()}
}

var _ Limiter = (*Redis)(nil)

// What reserve.lua is to do.
const (
	look = iota
	take
	takeAnyway
)

// Reserve implements [Limiter].
func (r *Redis) Reserve(ctx context.Context, q Request) (*Reservation, Decision, error) {
	if len(q.Limits) == 0 {
		return nil, Decision{Allowed: true}, nil
	}
	mode := take
	if q.Force {
		mode = takeAnyway
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	d, at, err := r.ask(ctx, &q, mode)
	if err != nil || !d.Allowed {
		return nil, d, err
	}
	r.hold(q.Limits, 1)
	return &Reservation{ID: r.me, Limits: q.Limits, Tokens: q.Tokens, At: at}, d, nil
}

// Peek implements [Limiter].
func (r *Redis) Peek(ctx context.Context, q Request) (Decision, error) {
	if len(q.Limits) == 0 {
		return Decision{Allowed: true}, nil
	}
	d, _, err := r.ask(ctx, &q, look)
	return d, err
}

// Settle implements [Limiter]. What a server out of reach does not hear of tokens is lost; that a parallel call
// has ended, it hears later.
func (r *Redis) Settle(ctx context.Context, v *Reservation, tokens int64) error {
	if !v.End() {
		return nil
	}
	return r.end(ctx, v, func(l *Limit) int64 {
		if l.Unit == Tokens {
			return max(tokens, 0) - l.cost(v.Tokens)
		}
		return 0
	})
}

// Cancel implements [Limiter].
func (r *Redis) Cancel(ctx context.Context, v *Reservation) error {
	if !v.End() {
		return nil
	}
	return r.end(ctx, v, func(l *Limit) int64 { return -l.cost(v.Tokens) })
}

// ask runs the script and makes a decision of what it found; at is when that was.
func (r *Redis) ask(ctx context.Context, q *Request, mode int) (d Decision, at time.Time, err error) {
	if len(q.Limits) > MaxLimits {
		return d, at, ErrTooManyLimits
	}
	keys := make([]string, 1, 1+len(q.Limits))
	args := make([]any, 4, 4+5*len(q.Limits))
	keys[0] = processesKey
	args[0], args[1], args[2], args[3] = r.now(), mode, r.me, silence.Microseconds()
	for i := range q.Limits {
		l := &q.Limits[i]
		keys = append(keys, l.key())
		again := 0
		if repeats(q.Limits, i) {
			again = 1
		}
		args = append(args, int(l.Unit), l.Max, slotOf(l.window()).Microseconds(), l.cost(q.Tokens), again)
	}
	found, err := reserveScript.Run(ctx, r.client, keys, args...).Int64Slice()
	if err != nil {
		return d, at, err
	}
	if len(found) != 2+3*len(q.Limits) {
		return d, at, fmt.Errorf("ratelimit: the script answered %d numbers for %d limits", len(found), len(q.Limits))
	}
	origin := time.UnixMicro(0)
	now := micros(found[1])
	j := newJudge(q, origin, mode != look)
	for i := range q.Limits {
		f := found[2+3*i:]
		s := state{used: f[0], cost: q.Limits[i].cost(q.Tokens), wait: micros(f[1]), empty: micros(f[2])}
		j.weigh(i, s)
	}
	return j.decision(now), origin.Add(now), nil
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// end gives back or adds what delta says of each counter, and ends its parallel calls.
func (r *Redis) end(ctx context.Context, v *Reservation, delta func(*Limit) int64) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	r.hold(v.Limits, -1)
	var keys []string
	args := []any{r.now(), v.At.UnixMicro(), r.me}
	for i := range v.Limits {
		l := &v.Limits[i]
		if repeats(v.Limits, i) {
			continue
		}
		n := delta(l)
		if n == 0 && l.Unit != Parallel {
			continue
		}
		keys = append(keys, l.key())
		args = append(args, int(l.Unit), slotOf(l.window()).Microseconds(), n)
	}
	if keys == nil {
		return nil
	}
	return endScript.Run(ctx, r.client, keys, args...).Err()
}

// forget ends a reservation without the server, which hears of it with the next beat after [Redis.Doubt].
func (r *Redis) forget(v *Reservation) {
	if v.End() {
		r.mu.RLock()
		r.hold(v.Limits, -1)
		r.mu.RUnlock()
	}
}

// now is the time for a script; 0: the server's own.
func (r *Redis) now() int64 {
	if r.clock == nil {
		return 0
	}
	return r.clock().UnixMicro()
}

// key is the limit's counter on the server.
func (l *Limit) key() string {
	k := prefix + l.Scope.String() + ":" + l.Unit.String()
	if l.Unit != Parallel {
		k += ":" + strconv.FormatInt(int64(l.window()/time.Millisecond), 10)
	}
	return k
}

// hold counts a parallel call's beginning or end among the process's own.
func (r *Redis) hold(limits []Limit, n int64) {
	for i := range limits {
		if limits[i].Unit != Parallel || repeats(limits, i) {
			continue
		}
		v, ok := r.own.Load(limits[i].key())
		if !ok {
			v, _ = r.own.LoadOrStore(limits[i].key(), &count{})
		}
		c := v.(*count)
		c.mu.Lock()
		c.n = max(c.n+n, 0)
		c.mu.Unlock()
	}
}

// Beat tells the server that this process lives. It writes the process's parallel calls anew if the server has
// lost its data, or if [Redis.Doubt] was said. replicas is how many processes live, this one included.
func (r *Redis) Beat(ctx context.Context) (replicas int, err error) {
	found, err := beatScript.Run(ctx, r.client, []string{processesKey, epochKey}, r.me, silence.Microseconds(), rand.Text()).Slice()
	if err != nil {
		return 0, err
	}
	epoch, _ := found[0].(string)
	n, _ := found[1].(int64)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dirty || r.epoch != "" && r.epoch != epoch {
		if err := r.register(ctx); err != nil {
			return 0, err
		}
	}
	r.dirty, r.epoch = false, epoch
	return int(max(n, 1)), nil
}

// Doubt tells that the server may hold something else of this process than is true: an answer did not come.
func (r *Redis) Doubt() {
	r.mu.Lock()
	r.dirty = true
	r.mu.Unlock()
}

// register writes the process's parallel calls. Nothing is reserved or ended meanwhile.
func (r *Redis) register(ctx context.Context) error {
	pipe := r.client.Pipeline()
	r.own.Range(func(k, v any) bool {
		if n := v.(*count).n; n > 0 {
			pipe.HSet(ctx, k.(string), r.me, n)
		} else {
			pipe.HDel(ctx, k.(string), r.me)
			r.own.Delete(k)
		}
		return true
	})
	if pipe.Len() == 0 {
		return nil
	}
	_, err := pipe.Exec(ctx)
	return err
}
