package keys

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/store"
)

const virtual = "sk-token-0123456789abcdef"

func doc(kind, id string, version int64, fields map[string]any) store.Object {
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return store.Object{Kind: kind, ID: id, Version: version, Doc: b}
}

func loaded(objects ...store.Object) *Directory {
	d := NewDirectory(nil)
	d.Apply(objects, true)
	return d
}

func TestDirectory(t *testing.T) {
	d := loaded(
		doc(KindKey, Hash(virtual), 1, map[string]any{
			"key_alias": "a", "team_id": "t", "user_id": "u", "max_budget": 10, "soft_budget": "5", "budget_duration": "30d",
			"tpm_limit": 100, "metadata": map[string]any{
				"tags": []string{"x"}, "guardrails": []string{"g"}, "model_rpm_limit": map[string]int{"m": 3}, "own": 1},
			"model_max_budget": map[string]any{"m": map[string]any{"budget_limit": "0.5", "time_period": "1d"}, "n": 2},
			"aliases":          map[string]any{"small": "gpt", "odd": 1}, "models": []string{"gpt"}, "spend": 1.25, "budget_id": "b",
			"permissions": map[string]any{"allow_mock": true}, "expires": "2999-01-01T00:00:00Z",
		}),
		doc(KindBudget, "b", 2, map[string]any{"rpm_limit": 7, "tpm_limit": 9, "max_budget": 99}),
		doc(KindTeam, "t", 3, map[string]any{"team_alias": "T", "members_with_roles": []map[string]any{{"user_id": "u", "role": "admin"}},
			"metadata": map[string]any{"team_member_budget_id": "mb"}}),
		doc(KindBudget, "mb", 4, map[string]any{"max_budget": 3, "allowed_models": []string{"gpt"}}),
		doc(KindUser, "u", 5, map[string]any{"user_role": "proxy_admin"}),
		doc(KindMember, MemberID("t", "u"), 6, map[string]any{}),
		doc(KindCustomer, "c", 7, map[string]any{"alias": "C", "blocked": true, "budget_id": "b"}),
	)
	k, err := NewRing(Options{Master: master, Directory: d}).Authenticate(virtual)
	if err != nil {
		t.Fatal(err)
	}
	if *k.Budget.Max != 10*money.Dollar || *k.Budget.Soft != 5*money.Dollar || k.Budget.Duration != "30d" || k.Spent != money.Dollar*5/4 {
		t.Errorf("%+v", k.Budget)
	}
	if *k.Limits.TPM != 100 || *k.Limits.RPM != 7 || k.Limits.Parallel != nil || k.Limits.ModelRPM["m"] != 3 {
		t.Errorf("%+v", k.Limits)
	}
	if k.ModelBudgets["m"] != (ModelBudget{money.Dollar / 2, "1d"}) || k.ModelBudgets["n"].Max != 2*money.Dollar {
		t.Errorf("%+v", k.ModelBudgets)
	}
	if k.Team().Alias != "T" || k.Team().Roles["u"] != "admin" || !k.IsAdmin() || *k.Member().Budget.Max != 3*money.Dollar || k.Member().Models[0] != "gpt" {
		t.Errorf("%+v %+v %+v", k.Team(), k.User(), k.Member())
	}
	if k.ModelFor("small") != "gpt" || k.ModelFor("odd") != "odd" || !k.Permits("allow_mock") || k.Tags[0] != "x" || k.Guardrails[0] != "g" {
		t.Errorf("%+v", k)
	}
	if c := d.Customer("c"); !c.Blocked || *c.Limits.RPM != 7 || d.Customer("nobody") != nil {
		t.Errorf("%+v", c)
	}

	// Changes reach a key that is in use.
	d.Apply([]store.Object{doc(KindTeam, "t", 10, map[string]any{"blocked": true}), doc(KindBudget, "b", 11, map[string]any{"rpm_limit": 8})}, false)
	if !k.Team().Blocked || *d.ByHash(k.Hash).Limits.RPM != 8 {
		t.Error("a change of the team or the budget is not seen")
	}
	if _, err := NewRing(Options{Master: master, Directory: d}).Authenticate(virtual); err == nil || err.Type != "auth_error" {
		t.Errorf("a key of a blocked team: %v", err)
	}
	// A late announcement brings nothing back.
	d.Apply([]store.Object{doc(KindTeam, "t", 9, map[string]any{})}, false)
	if !k.Team().Blocked {
		t.Error("an old row is back")
	}
	d.Apply([]store.Object{{Kind: KindKey, ID: k.Hash, Version: 12, Deleted: true}, {Kind: KindTeam, ID: "t", Version: 13, Deleted: true}}, false)
	if d.ByHash(k.Hash) != nil || k.Team() != nil {
		t.Error("what was deleted is still there")
	}
	d.Apply([]store.Object{doc(KindUser, "v", 1, nil)}, true)
	if d.User("u") != nil || d.User("v") == nil || k.User() != nil {
		t.Error("the whole did not replace everything")
	}
}

func TestRefusals(t *testing.T) {
	d := loaded(
		doc(KindKey, Hash("sk-expired-0123456789"), 1, map[string]any{"expires": "2020-01-02T03:04:05.5+00:00"}),
		doc(KindKey, Hash("sk-blocked-0123456789"), 2, map[string]any{"blocked": true}),
		doc(KindKey, Hash("sk-routes-0123456789"), 3, map[string]any{"allowed_routes": []string{"/v1/chat/completions", "info_routes", "/spend/*"}}),
		doc(KindKey, Hash("sk-new-0123456789abc"), 4, map[string]any{"key_alias": "new"}),
		doc(KindOldKey, Hash("sk-old-0123456789abc"), 5, map[string]any{
			"active_token_id": Hash("sk-new-0123456789abc"), "revoke_at": time.Now().Add(time.Hour).Format(time.RFC3339)}),
		doc(KindOldKey, Hash("sk-over-0123456789ab"), 6, map[string]any{
			"active_token_id": Hash("sk-new-0123456789abc"), "revoke_at": "2020-01-01T00:00:00Z"}),
	)
	ring := NewRing(Options{Master: master, Directory: d})
	for token, want := range map[string]string{
		"sk-expired-0123456789": "401 expired_key sk-...6789 Authentication Error - Expired Key. Key Expiry time 2020-01-02 03:04:05.500000+00:00 and current time ",
		"sk-blocked-0123456789": "401 auth_error None Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
		"sk-over-0123456789ab":  "401 token_not_found_in_db key Authentication Error, Invalid proxy server token passed.",
		"sk-old-0123456789abc":  "",
	} {
		k, err := ring.Authenticate(token)
		got := ""
		if err != nil {
			got = fmt.Sprintf("%d %s %s %s", err.Status, err.Type, err.Param, err.Message)
		}
		if !strings.HasPrefix(got, want) || want == "" && (got != "" || k.Alias != "new" || k.Expires.IsZero()) {
			t.Errorf("%s: %q", token, got)
		}
	}
	k, _ := ring.Authenticate("sk-routes-0123456789")
	for path, want := range map[string]bool{
		"/v1/chat/completions": true, "/chat/completions": false, "/key/info": true, "/key/generate": false, "/spend/logs": true, "/v1/models": true,
	} {
		if got := ring.Route(k, path); (got == nil) != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if err := ring.Route(k, "/key/x"); err.Status != 403 || err.Message != "Virtual key is not allowed to call this route. Only allowed to call routes: "+
		"['/v1/chat/completions', 'info_routes', '/spend/*']. Tried to call route: /key/x" {
		t.Error(err)
	}
}

func TestUnknownWhileTheStoreIsAway(t *testing.T) {
	away := errors.New("away")
	d := NewDirectory(func() error { return away })
	ring := NewRing(Options{Master: master, Directory: d})
	for range 2 {
		if _, err := ring.Authenticate(virtual); err == nil || err.Status != 503 || err.Type != "no_db_connection" || err.RetryAfter == 0 {
			t.Error(err)
		}
		d.Apply(nil, true)
	}
	if _, err := ring.Authenticate(master); err != nil {
		t.Error(err)
	}
	away = nil
	if _, err := ring.Authenticate(virtual); err == nil || err.Type != "token_not_found_in_db" {
		t.Error(err)
	}
}

func TestAccess(t *testing.T) {
	ring := NewRing(Options{Master: master, AccessGroups: map[string][]string{"beta": {"gpt-5", "ollama/*"}},
		InferProvider: func(m string) string {
			if strings.HasPrefix(m, "gpt") {
				return "openai"
			}
			return ""
		}})
	team := func(models ...string) *Team {
		return &Team{ID: "t", Models: models, Aliases: map[string]string{"ours": "gpt-5"}}
	}
	for i, tt := range []struct {
		key   Key
		team  *Team
		user  *User
		m     *Member
		model string
		want  string
	}{
		{model: "any"},
		{key: Key{Models: []string{"a"}}, model: "b", want: "key"},
		{key: Key{Models: []string{"beta"}}, model: "gpt-5"},
		{key: Key{Models: []string{"beta"}}, model: "ollama/x"},
		{key: Key{Models: []string{"beta"}}, model: "gpt-4", want: "key"},
		{key: Key{Models: []string{"openai/*"}}, model: "gpt-4"},
		{key: Key{Models: []string{"openai/*"}}, model: "claude", want: "key"},
		{key: Key{Models: []string{"no-default-models"}}, model: "a", want: "key"},
		{key: Key{Models: []string{"all-team-models"}}, model: "a"},
		{key: Key{Models: []string{"all-team-models"}}, team: team("a"), model: "a"},
		{key: Key{Models: []string{"all-team-models"}}, team: team("a"), model: "b", want: "team"},
		{key: Key{Models: []string{"all-proxy-models"}}, team: team("a"), model: "b", want: "team"},
		{team: team("all-proxy-models"), model: "b"},
		{team: team("a"), model: "ours"},
		{team: team("a", "b"), m: &Member{Models: []string{"a"}}, model: "b", want: "team"},
		{team: team("a", "b"), m: &Member{}, model: "b"},
		{team: team("a"), user: &User{Models: []string{"b"}}, model: "a"},
		{user: &User{Models: []string{"b"}}, model: "a", want: "user"},
		{user: &User{Models: []string{"no-default-models"}}, model: "a", want: "key"},
		{user: &User{Models: []string{"b"}, Role: Admin}, model: "a"},
	} {
		k := tt.key.With(tt.team, tt.user, tt.m)
		err := ring.AccessError(k, tt.model)
		if tt.want == "" && err == nil {
			continue
		}
		if err == nil || err.Type != tt.want+"_model_access_denied" || err.Param != "model" || err.Status != 403 {
			t.Errorf("%d: %v, want %q", i, err, tt.want)
		}
	}
}

// What the design promises of 100,000 keys: a start within 3 s and less than 200 MB.
func TestHundredThousandKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const n = 100_000
	path := filepath.Join(t.TempDir(), "s.db")
	db, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Objects().Change(t.Context(), func(c *store.Change) error {
		for i := range n {
			if err := c.Put(doc(KindKey, Hash(fmt.Sprint("sk-", i)), 0, map[string]any{
				"key_name": "sk-...abcd", "key_alias": fmt.Sprint("key-", i), "team_id": fmt.Sprint("team-", i%500), "user_id": fmt.Sprint("user-", i%20_000),
				"models": []string{"gpt-4o", "claude-sonnet"}, "max_budget": 100, "budget_duration": "30d", "budget_reset_at": "2027-01-01T00:00:00Z",
				"tpm_limit": 10000, "rpm_limit": 100, "metadata": map[string]any{"tags": []string{"prod"}, "owner": "somebody"},
				"created_at": "2026-01-01T00:00:00Z", "created_by": "default_user_id", "updated_at": "2026-01-01T00:00:00Z", "updated_by": "default_user_id",
			})); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before := heap()
	began := time.Now()
	d := NewDirectory(nil)
	f := db.Objects().Follow(d.Apply)
	go f.Run(t.Context())
	if err := f.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	size := heap() - before
	t.Logf("%d keys: %v, %d MB", n, took.Round(time.Millisecond), size>>20)
	if d.ByHash(Hash("sk-99999")) == nil || len(d.List(KindKey)) != n {
		t.Error("keys are missing")
	}
	if size > 200<<20 {
		t.Errorf("%d keys take %d MB", n, size>>20)
	}
	began = time.Now()
	d.Apply([]store.Object{doc(KindTeam, "team-7", n, map[string]any{"blocked": true})}, false)
	d.Apply([]store.Object{doc(KindBudget, "none", n, nil)}, false)
	t.Logf("a change of a team and a budget: %v", time.Since(began).Round(time.Microsecond))
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkVirtualKey(b *testing.B) {
	objects := make([]store.Object, 100_000)
	for i := range objects {
		objects[i] = doc(KindKey, Hash(fmt.Sprint("sk-", i)), 1, map[string]any{"team_id": "t", "models": []string{"a", "b"}})
	}
	r := NewRing(Options{Master: master, Directory: loaded(objects...)})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			k, err := r.Authenticate("sk-77777")
			if err != nil || !r.Allows(k, "b") {
				b.Fatal(err)
			}
		}
	})
}
