package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/internal/testtools"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

// api is the admin API on a database of its own.
type api struct {
	t      *testing.T
	server *Server
	dir    *keys.Directory
	db     *store.DB
}

func newAPI(t *testing.T, o store.Options) *api {
	t.Helper()
	if o.URL == "" {
		o.Path = filepath.Join(t.TempDir(), "s.db")
	}
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	dir := keys.NewDirectory(db.Down)
	f := db.Objects().Follow(dir.Apply)
	done := make(chan struct{})
	go func() { defer close(done); f.Run(t.Context()) }()
	t.Cleanup(func() { <-done; _ = db.Close() })
	<-db.Ready()
	if err := f.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	ring := keys.NewRing(keys.Options{Master: master, Directory: dir})
	snap := &Snapshot{Keys: ring, IsMaster: ring.IsMaster, Deployments: []Deployment{{ID: "d1", Group: "gpt", Model: "openai/gpt-4o"}}}
	return &api{t, New(Options{Snapshot: func() *Snapshot { return snap },
		Storage: &Storage{Objects: db.Objects(), Directory: dir, Sync: f.Sync}}), dir, db}
}

// eachDatabase runs a test on SQLite and on PostgreSQL.
func eachDatabase(t *testing.T, test func(*api)) {
	t.Run("sqlite", func(t *testing.T) { test(newAPI(t, store.Options{})) })
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("starts PostgreSQL")
		}
		test(newAPI(t, store.Options{URL: testtools.Postgres(t).URL}))
	})
}

// ask sends a request; body "" is a GET.
func (a *api) ask(key, path, body string) (int, string) {
	method := "GET"
	if body != "" {
		method = "POST"
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	a.server.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// want sends a request and checks its status; the answer comes as an object.
func (a *api) want(status int, key, path, body string) document {
	a.t.Helper()
	code, text := a.ask(key, path, body)
	if code != status {
		a.t.Fatalf("%s %s: %d %s", path, body, code, text)
	}
	d, err := parse([]byte(text))
	if err != nil { // a list, say
		return document{"text": text}
	}
	return d
}

func (a *api) key(body string) string {
	a.t.Helper()
	return text(a.want(200, master, "/key/generate", body), "key")
}

func TestLifeOfAKey(t *testing.T) {
	eachDatabase(t, func(a *api) {
		made := a.want(200, master, "/key/generate", `{"key_alias":"one","models":["gpt"],"max_budget":"10","budget_duration":"30d","duration":"30d",
			"metadata":{"own":12345678901234567890},"tags":["x"],"model_rpm_limit":{"gpt":3},"soft_budget":5,"aliases":{"small":"gpt"},"tpm_limit":7}`)
		key, hash := text(made, "key"), text(made, "token")
		if !strings.HasPrefix(key, "sk-") || len(key) != 25 || hash != keys.Hash(key) || text(made, "token_id") != hash || text(made, "key_name") != "sk-..."+key[21:] {
			a.t.Errorf("%v", made)
		}
		k := a.dir.ByHash(hash)
		if k.Limits.ModelRPM["gpt"] != 3 || *k.Limits.TPM != 7 || k.Tags[0] != "x" || k.Budget.Max.Dollars() != 10 || k.Budget.Soft.Dollars() != 5 ||
			k.Expires.IsZero() || k.Budget.ResetAt.Day() != 1 || k.ModelFor("small") != "gpt" {
			a.t.Errorf("%+v", k)
		}
		if d := a.want(400, master, "/key/generate", `{"key_alias":"one"}`); text(object(d, "error"), "message") !=
			"Key with alias 'one' already exists. Unique key aliases across all keys are required." {
			a.t.Error(d)
		}
		info := object(a.want(200, key, "/key/info", ""), "info")
		if text(info, "status") != "active" || given(info, "token") || fmt.Sprint(object(info, "metadata")["own"]) != "12345678901234567890" {
			a.t.Error(info)
		}
		a.want(200, master, "/key/update", `{"key":"`+key+`","models":["gpt","b"],"metadata":{"new":true},"max_budget":null,"blocked":false}`)
		if k := a.dir.ByHash(hash); len(k.Models) != 2 || k.Budget.Max != nil || k.Alias != "one" || len(k.Tags) != 0 || *k.Limits.TPM != 7 {
			a.t.Errorf("%+v", k)
		}
		a.want(200, master, "/key/block", `{"key":"`+key+`"}`)
		a.want(401, key, "/key/info", "")
		a.want(200, master, "/key/unblock", `{"key":"`+hash+`"}`)
		again := a.want(200, master, "/key/"+key+"/regenerate", `{"grace_period":"1h","max_budget":3}`)
		fresh := text(again, "key")
		for _, works := range []string{key, fresh} {
			if text(object(a.want(200, works, "/key/info", ""), "info"), "key_alias") != "one" {
				a.t.Errorf("%s is not the key", works)
			}
		}
		last := text(a.want(200, master, "/key/regenerate", `{"key":"`+fresh+`","new_key":"sk-chosen-0123456789"}`), "key")
		a.want(401, fresh, "/key/info", "")
		a.want(200, last, "/key/info", "")
		list := a.want(200, master, "/key/list?key_alias=one&return_full_object=true", "")
		if fmt.Sprint(list["total_count"]) != "1" || fmt.Sprint(object(document{"k": list["keys"].([]any)[0]}, "k")["rotation_count"]) != "2" {
			a.t.Error(list)
		}
		a.want(200, master, "/key/delete", `{"key_aliases":["one"]}`)
		a.want(401, last, "/key/info", "")
		a.want(404, master, "/key/delete", `{"keys":["`+last+`"]}`)
	})
}

func TestTeamsUsersCustomersBudgets(t *testing.T) {
	eachDatabase(t, func(a *api) {
		team := a.want(200, master, "/team/new", `{"team_alias":"T","models":["gpt"],"max_budget":100,"team_member_budget":5,
			"members_with_roles":[{"role":"admin","user_id":"boss"}],"metadata":{"a":1},"model_aliases":{"ours":"gpt"}}`)
		id := text(team, "team_id")
		added := a.want(200, master, "/team/member_add", `{"team_id":"`+id+`","member":{"role":"user","user_id":"ann"},"max_budget_in_team":2}`)
		if len(added["updated_users"].([]any)) != 1 || len(added["updated_team_memberships"].([]any)) != 1 {
			a.t.Error(added)
		}
		if m := a.dir.Member(id, "ann"); m == nil || m.Budget.Max.Dollars() != 2 {
			a.t.Errorf("%+v", m)
		}
		if m := a.dir.Member(id, "boss"); m == nil || m.Budget.Max.Dollars() != 5 {
			a.t.Errorf("%+v", m)
		}
		a.want(400, master, "/team/member_add", `{"team_id":"`+id+`","member":{"role":"user","user_id":"ann"}}`)
		a.want(200, master, "/team/member_update", `{"team_id":"`+id+`","user_id":"ann","max_budget_in_team":9,"role":"admin","rpm_limit":4}`)
		if m, team := a.dir.Member(id, "ann"), a.dir.Team(id); m.Budget.Max.Dollars() != 9 || *m.Limits.RPM != 4 || team.Roles["ann"] != "admin" || team.Aliases["ours"] != "gpt" {
			a.t.Errorf("%+v %+v", m, team)
		}
		key := a.key(`{"team_id":"` + id + `","user_id":"ann"}`)
		info := a.want(200, master, "/team/info?team_id="+id, "")
		if len(info["keys"].([]any)) != 1 || len(info["team_memberships"].([]any)) != 2 || text(object(info, "team_info"), "team_alias") != "T" ||
			object(info, "team_info")["team_member_budget_table"] == nil {
			a.t.Error(info)
		}
		user := a.want(200, master, "/user/info?user_id=ann", "")
		if len(user["keys"].([]any)) != 1 || len(user["teams"].([]any)) != 1 {
			a.t.Error(user)
		}
		a.want(200, master, "/team/block", `{"team_id":"`+id+`"}`)
		a.want(401, key, "/key/info", "")
		a.want(200, master, "/team/unblock", `{"team_id":"`+id+`"}`)
		a.want(200, master, "/team/update", `{"team_id":"`+id+`","team_alias":"U"}`)
		a.want(200, master, "/team/member_delete", `{"team_id":"`+id+`","user_id":"ann"}`)
		a.want(401, key, "/key/info", "") // the member's keys of the team went too
		if u := a.dir.User("ann"); len(u.Teams) != 0 {
			a.t.Errorf("%+v", u)
		}
		key = a.key(`{"team_id":"` + id + `"}`)
		a.want(200, master, "/team/delete", `{"team_ids":["`+id+`"]}`)
		a.want(401, key, "/key/info", "")

		made := a.want(200, master, "/user/new", `{"user_id":"eve","user_email":"Eve@x.org","user_role":"internal_user","max_budget":4}`)
		if k := a.dir.ByHash(keys.Hash(text(made, "key"))); k == nil || k.UserID != "eve" || k.Budget.Max != nil || k.User().Budget.Max.Dollars() != 4 {
			a.t.Errorf("%+v", k)
		}
		a.want(409, master, "/user/new", `{"user_email":"eve@X.org"}`)
		a.want(409, master, "/user/new", `{"user_id":"eve"}`)
		a.want(200, master, "/user/update", `{"user_email":"eve@x.org","max_budget":5}`)
		if d := a.want(200, master, "/user/list?user_email=EVE", ""); fmt.Sprint(d["total"]) != "1" {
			a.t.Error(d)
		}
		a.want(200, master, "/user/delete", `{"user_ids":["eve"]}`)
		a.want(401, text(made, "key"), "/key/info", "")

		a.want(200, master, "/budget/new", `{"budget_id":"b","max_budget":1,"budget_duration":"1d"}`)
		a.want(400, master, "/budget/new", `{"budget_id":"b"}`)
		a.want(200, master, "/customer/new", `{"user_id":"c","budget_id":"b"}`)
		a.want(400, master, "/customer/new", `{"user_id":"c"}`)
		if c := a.dir.Customer("c"); c.Budget.Max.Dollars() != 1 || c.Budget.ResetAt.IsZero() {
			a.t.Errorf("%+v", c)
		}
		a.want(200, master, "/budget/update", `{"budget_id":"b","max_budget":2}`)
		if c := a.dir.Customer("c"); c.Budget.Max.Dollars() != 2 {
			a.t.Errorf("%+v", c)
		}
		a.want(200, master, "/end_user/block", `{"user_ids":["c","d"]}`)
		if !a.dir.Customer("d").Blocked || !a.dir.Customer("c").Blocked {
			a.t.Error("not blocked")
		}
		a.want(200, master, "/customer/unblock", `{"user_ids":["c"]}`)
		a.want(200, master, "/customer/update", `{"user_id":"c","alias":"C","max_budget":7}`)
		a.want(200, master, "/customer/info?end_user_id=c", "")
		a.want(200, master, "/customer/delete", `{"user_ids":["c"]}`)
		a.want(404, master, "/customer/info?end_user_id=c", "")
		a.want(200, master, "/budget/delete", `{"id":"b"}`)
	})
}

// roles are the callers of the table below, by what makes them.
func (a *api) roles() map[string]string {
	a.want(200, master, "/user/new", `{"user_id":"admin","user_role":"proxy_admin","auto_create_key":false}`)
	a.want(200, master, "/user/new", `{"user_id":"viewer","user_role":"proxy_admin_viewer","auto_create_key":false}`)
	a.want(200, master, "/user/new", `{"user_id":"internal","user_role":"internal_user","auto_create_key":false}`)
	a.want(200, master, "/user/new", `{"user_id":"internal_viewer","user_role":"internal_user_viewer","auto_create_key":false}`)
	a.want(200, master, "/user/new", `{"user_id":"lead","user_role":"internal_user","auto_create_key":false}`)
	a.want(200, master, "/team/new", `{"team_id":"t","members_with_roles":[{"role":"admin","user_id":"lead"},{"role":"user","user_id":"internal"}]}`)
	return map[string]string{
		"master": master, "admin": a.key(`{"user_id":"admin"}`), "viewer": a.key(`{"user_id":"viewer"}`), "internal": a.key(`{"user_id":"internal"}`),
		"internal_viewer": a.key(`{"user_id":"internal_viewer"}`), "team_admin": a.key(`{"user_id":"lead","team_id":"t"}`),
		"plain": a.key(`{}`), "team_key": a.key(`{"team_id":"t"}`), "routes": a.key(`{"allowed_routes":["/v1/chat/completions"]}`), "nobody": "sk-nobody-0123456789",
	}
}

// Every route × every role: who is turned away by the route itself (401 or 403), whatever they ask. "self" routes
// let callers in and decide by what is asked.
func TestEveryRouteHasARole(t *testing.T) {
	a := newAPI(t, store.Options{})
	callers := a.roles()
	order := []string{"master", "admin", "viewer", "internal", "internal_viewer", "team_admin", "plain", "team_key", "routes", "nobody"}
	// One letter a role in that order: y is let in, n is turned away.
	rules := map[access]map[string]string{
		adminsOnly: {"GET": "yyynnnnnnn", "POST": "yynnnnnnnn"},
		users:      {"GET": "yyyynynnnn", "POST": "yynynynnnn"},
		everybody:  {"GET": "yyyyyyyynn", "POST": "yynyyyyynn", "PATCH": "yynyyyyynn"},
	}
	exceptions := map[string]string{"/user/update": "yyynnnnnnn", "/budget/info": "yyynnnnnnn"}
	for _, rt := range a.server.managedRoutes() {
		want := rules[rt.access][rt.method]
		if e, ok := exceptions[rt.path]; ok {
			want = e
		}
		path := strings.NewReplacer("{key}", "x", "{id}", "x").Replace(rt.path)
		for i, role := range order {
			code, body := a.raw(rt.method, callers[role], path)
			away := code == 401 || code == 403
			byRoute := strings.Contains(body, "Only proxy admin can be used to") || strings.Contains(body, "user not allowed to access this route") ||
				strings.Contains(body, "Virtual key is not allowed") || strings.Contains(body, "token_not_found_in_db")
			if got := !(away && byRoute); got != (want[i] == 'y') {
				t.Errorf("%s %s as %s: %d %.200s", rt.method, rt.path, role, code, body)
			}
		}
	}
}

// raw sends a request that asks for nothing in particular.
func (a *api) raw(method, key, path string) (int, string) {
	r := httptest.NewRequest(method, path, bytes.NewReader([]byte("{}")))
	r.Header.Set("authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	a.server.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// What each role may do within the routes that let it in.
func TestWhatRolesMayDo(t *testing.T) {
	a := newAPI(t, store.Options{})
	r := a.roles()
	other := a.key(`{"user_id":"admin","key_alias":"other"}`)
	mine := text(a.want(200, r["internal"], "/key/generate", `{}`), "key")
	for _, tt := range []struct {
		role, path, body string
		status           int
	}{
		{"internal", "/key/generate", `{"user_id":"admin"}`, 403},
		{"internal", "/key/generate", `{"allowed_routes":["/key/generate"]}`, 403},
		{"internal", "/key/generate", `{"key_type":"management"}`, 403},
		{"internal", "/key/generate", `{"permissions":{"x":true}}`, 403},
		{"internal", "/key/generate", `{"team_id":"t"}`, 401},
		{"internal", "/key/generate", `{"team_id":"nowhere"}`, 400},
		{"internal", "/key/generate", `{"budget_id":"b"}`, 403},
		{"internal", "/key/generate", `{"end_user_budget_id":"b"}`, 403},
		{"team_admin", "/key/generate", `{"team_id":"t"}`, 200},
		{"team_admin", "/key/generate", `{"team_id":"t","user_id":"internal"}`, 200},
		{"team_admin", "/key/generate", `{"team_id":"t","user_id":"admin"}`, 400},
		{"internal", "/key/info?key=" + other, "", 403},
		{"internal", "/key/info?key=" + mine, "", 200},
		{"plain", "/key/info?key=" + other, "", 403},
		{"viewer", "/key/info?key=" + other, "", 200},
		{"internal", "/key/delete", `{"keys":["` + other + `"]}`, 403},
		{"internal", "/key/update", `{"key":"` + other + `","models":[]}`, 403},
		{"internal", "/key/update", `{"key":"` + mine + `","user_id":"admin"}`, 403},
		{"internal", "/key/update", `{"key":"` + mine + `","user_id":null}`, 403},
		{"internal", "/key/update", `{"key":"` + mine + `","key_alias":"m"}`, 200},
		{"internal", "/key/update", `{"key":"` + r["internal"] + `","max_budget":1000}`, 403},
		{"internal", "/key/update", `{"key":"` + mine + `","max_budget":1000}`, 403},
		{"internal", "/key/update", `{"key":"` + r["internal"] + `","models":["gpt"]}`, 403}, // an admin made it
		{"team_admin", "/key/update", `{"key":"` + r["team_admin"] + `","max_budget":1000}`, 200},
		{"internal", "/key/regenerate", `{"key":"` + mine + `","max_budget":1000}`, 403},
		{"internal", "/key/regenerate", `{"key":"` + other + `"}`, 403},
		{"internal", "/key/block", `{"key":"` + mine + `"}`, 403},
		{"internal", "/key/" + mine + "/reset_spend", `{"reset_to":0}`, 403},
		{"internal", "/key/list?user_id=admin", "", 403},
		{"internal", "/key/list", "", 200},
		{"plain", "/key/list", "", 403},
		{"plain", "/team/update", `{"team_id":"t","team_alias":"x"}`, 403},
		{"internal", "/team/update", `{"team_id":"t","team_alias":"x"}`, 403},
		{"team_admin", "/team/update", `{"team_id":"t","team_alias":"x"}`, 200},
		{"team_admin", "/team/update", `{"team_id":"t","max_budget":1000}`, 403},
		{"team_admin", "/team/member_add", `{"team_id":"t","member":{"role":"user","user_id":"viewer"}}`, 200},
		{"team_admin", "/team/member_add", `{"team_id":"t","member":{"role":"user","user_id":"newcomer"}}`, 403},
		{"internal", "/team/member_add", `{"team_id":"t","member":{"role":"admin","user_id":"internal"}}`, 403},
		{"internal", "/team/member_update", `{"team_id":"t","user_id":"internal","role":"admin"}`, 403},
		{"internal", "/team/member_delete", `{"team_id":"t","user_id":"lead"}`, 403},
		{"internal", "/team/info?team_id=t", "", 200},
		{"plain", "/team/info?team_id=t", "", 403},
		{"team_key", "/team/info?team_id=t", "", 200},
		{"plain", "/team/list", "", 401},
		{"internal", "/team/list?user_id=internal", "", 200},
		{"internal", "/user/info?user_id=admin", "", 403},
		{"internal", "/user/info", "", 200},
		{"plain", "/user/list", "", 403},
		{"viewer", "/user/update", `{"user_id":"viewer","user_email":"v@x.org"}`, 200},
		{"viewer", "/user/update", `{"user_id":"viewer","user_role":"proxy_admin"}`, 403},
		{"viewer", "/user/update", `{"user_id":"admin","user_email":"v2@x.org"}`, 403},
	} {
		if code, body := a.ask(r[tt.role], tt.path, tt.body); code != tt.status {
			t.Errorf("%s %s %s: %d %.300s, want %d", tt.role, tt.path, tt.body, code, body, tt.status)
		}
	}
}

// What is no admin's raises no limit by a way around, and keeps those that an admin has set.
func TestNobodyGrantsThemselves(t *testing.T) {
	a := newAPI(t, store.Options{})
	r := a.roles()
	a.want(200, master, "/team/new", `{"team_id":"u","models":["cheap"],"max_budget":1,"model_rpm_limit":{"cheap":5},
		"team_member_permissions":["/key/generate","/key/update"],"members_with_roles":[{"role":"admin","user_id":"lead"},{"role":"user","user_id":"internal"}]}`)
	mine := text(a.want(200, r["internal"], "/key/generate", `{"team_id":"u","aliases":{"c":"cheap"}}`), "key")
	later := time.Now().AddDate(1, 0, 0).Format(time.DateOnly)
	raise := `"temp_budget_increase":1000,"temp_budget_expiry":"` + later + `"`
	for _, tt := range []struct {
		role, path, body string
		status           int
	}{
		{"internal", "/key/update", `{"key":"` + mine + `",` + raise + `}`, 403},
		{"internal", "/key/update", `{"key":"` + mine + `","budget_duration":"1h"}`, 403},
		{"internal", "/key/update", `{"key":"` + mine + `","metadata":{` + raise + `}}`, 200},
		{"internal", "/key/update", `{"key":"` + mine + `","aliases":{"cheap":"dear"}}`, 403},
		{"internal", "/key/generate", `{"team_id":"u","aliases":{"cheap":"dear"}}`, 403},
		{"team_admin", "/key/service-account/generate", `{"team_id":"u","aliases":{"cheap":"dear"}}`, 403},
		{"team_admin", "/team/update", `{"team_id":"u","metadata":{"a":1,` + raise + `}}`, 200},
		{"team_admin", "/team/update", `{"team_id":"u","metadata":null}`, 200},
	} {
		if code, body := a.ask(r[tt.role], tt.path, tt.body); code != tt.status {
			t.Errorf("%s %s %s: %d %.300s, want %d", tt.role, tt.path, tt.body, code, body, tt.status)
		}
	}
	team := a.dir.Team("u")
	if team.Budget.Max == nil || team.Budget.Max.Dollars() != 1 || team.Limits.ModelRPM["cheap"] != 5 {
		t.Errorf("the team has %+v", team.Scope)
	}
	if k := a.dir.ByHash(keys.Hash(mine)); strings.Contains(string(k.Metadata), "temp_budget") {
		t.Errorf("the key has %s", k.Metadata)
	}
}

// A key that cannot take its spend along keeps its token; a token that is taken keeps its spend.
func TestSpendGoesAlongWithAKey(t *testing.T) {
	a := newAPI(t, store.Options{})
	one, two := a.key(`{}`), a.key(`{}`)
	fault, moved := errors.New("no ledger"), []string{}
	a.server.o.Storage.Spent = func(kind, id string) (money.Amount, bool) { return money.Cent, kind == keys.KindKey }
	a.server.o.Storage.SetSpent = func(_ context.Context, _, id string, _ money.Amount) error {
		moved = append(moved, id)
		return fault
	}
	a.want(500, master, "/key/regenerate", `{"key":"`+one+`"}`)
	fault, moved = nil, nil
	a.want(400, master, "/key/regenerate", `{"key":"`+one+`","new_key":"`+two+`"}`)
	if moved != nil {
		t.Error("the spend of another key was set")
	}
	fresh := text(a.want(200, master, "/key/regenerate", `{"key":"`+one+`"}`), "key")
	if len(moved) != 1 || moved[0] != keys.Hash(fresh) {
		t.Errorf("moved %v", moved)
	}
	a.want(400, master, "/user/new", `{"user_id":"`+strings.Repeat("u", 300)+`"}`)
}

// A body that does not fit gets FastAPI's 422; nothing makes a panic or a 500.
func TestBadBodies(t *testing.T) {
	a := newAPI(t, store.Options{})
	for _, tt := range []struct{ path, body, want string }{
		{"/key/generate", `{"max_budget":"ten"}`, `422 {"detail":[{"type":"float_type","loc":["body","max_budget"],"msg":"Input should be a valid number"}]}`},
		{"/key/generate", `{"models":"gpt"}`, `422 {"detail":[{"type":"list_type","loc":["body","models"],"msg":"Input should be a valid list"}]}`},
		{"/key/generate", `{"key_type":"x"}`, `422 {"detail":[{"type":"enum","loc":["body","key_type"],"msg":"Input should be 'llm_api', 'management', 'read_only' or 'default'"}]}`},
		{"/key/generate", `[1]`, `422 {"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from"}]}`},
		{"/key/generate", `{`, `422 {"detail":[{"type":"json_invalid",`},
		{"/key/generate", `{"max_budget":-1}`, `400 {"error":{"message":"{'error': 'max_budget must be a non-negative finite number. Received: -1'}","type":"internal_server_error","param":null,"code":"400"}}`},
		{"/key/generate", `{"budget_duration":"soon"}`, `400 {"error":{"message":"{'error': \"Invalid budget_duration 'soon'.`},
		{"/key/generate", `{"duration":"soon"}`, `400 `},
		{"/key/generate", `{"key":"short"}`, `400 {"error":{"message":"{'error': \"Invalid key format. LiteLLM Virtual Key must start with 'sk-'. Received: ****\"}"`},
		{"/key/generate", `{"key":"sk-short"}`, `400 {"error":{"message":"{'error': 'Invalid key format. LiteLLM Virtual Key must be at least 16 characters long.'}"`},
		{"/key/update", `{}`, `422 {"detail":[{"type":"value_error","loc":["body"],"msg":"Value error, either key or key_alias must be provided"}]}`},
		{"/key/update", `{"key":"sk-unknown"}`, `404 {"error":{"message":"Key not found.","type":"not_found_error","param":"key","code":"404"}}`},
		{"/team/delete", `{}`, `422 {"detail":[{"type":"missing","loc":["body","team_ids"],"msg":"Field required"}]}`},
		{"/team/delete", `{"team_ids":["x"]}`, `404 {"detail":{"error":"Team not found, passed team_id=x"}}`},
		{"/team/update", `{"team_id":"x"}`, `404 {"error":{"message":"{'error': 'Team not found, passed team_id=x'}"`},
		{"/team/info", ``, `422 {"error":{"message":"{'message': 'Malformed request. No team id passed in.'}","type":"auth_error","param":"None","code":"422"}}`},
		{"/team/new", `{"soft_budget":5,"max_budget":5}`, `400 {"error":{"message":"{'error': 'soft_budget (5) must be strictly lower than max_budget (5)'}"`},
		{"/key/list?size=101", ``, `422 {"detail":[`},
		{"/key/list?status=odd", ``, `400 {"error":`},
	} {
		code, body := a.ask(master, tt.path, tt.body)
		if got := fmt.Sprintf("%d %s", code, body); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s %s:\n got %s\nwant %s", tt.path, tt.body, got, tt.want)
		}
	}
}

// The answers have LiteLLM's fields: all of them, by its own models.
func TestAnswersHaveLiteLLMsFields(t *testing.T) {
	a := newAPI(t, store.Options{})
	team := a.want(200, master, "/team/new", `{"team_id":"t","members_with_roles":[{"role":"user","user_id":"u"}]}`)
	info := a.want(200, master, "/team/info?team_id=t", "")
	for model, got := range map[string]document{
		"/key/generate":               a.want(200, master, "/key/generate", `{}`),
		"/user/new":                   a.want(200, master, "/user/new", `{}`),
		"team":                        team,
		"/team/info.team_info":        object(info, "team_info"),
		"/team/info.team_memberships": info["team_memberships"].([]any)[0].(document),
		"/team/member_add":            a.want(200, master, "/team/member_add", `{"team_id":"t","member":{"role":"user","user_id":"v"}}`),
		"/team/member_update":         a.want(200, master, "/team/member_update", `{"team_id":"t","user_id":"v","rpm_limit":1}`),
		"/user/info":                  a.want(200, master, "/user/info?user_id=u", ""),
		"/v2/user/info":               a.want(200, master, "/v2/user/info?user_id=u", ""),
		"/user/list":                  a.want(200, master, "/user/list", ""),
		"/user/list.users":            a.want(200, master, "/user/list", "")["users"].([]any)[0].(document),
	} {
		for _, name := range litellm.Answers[model] {
			if !given(got, name) && name != "password" {
				t.Errorf("%s lacks %s", model, name)
			}
		}
	}
	// And the rows have the columns of its tables.
	key := a.key(`{}`)
	for kind, got := range map[string]document{
		"key":    object(a.want(200, master, "/key/info?key="+key, ""), "info"),
		"budget": a.want(200, master, "/budget/new", `{}`), "customer": a.want(200, master, "/customer/new", `{"user_id":"c"}`),
	} {
		for name := range litellm.Columns[kind] {
			if !given(got, name) && name != "token" {
				t.Errorf("%s lacks %s", kind, name)
			}
		}
	}
}

// litellm.json is what LiteLLM's own models say, wherever LiteLLM is installed (tools/oracle/README.md).
func TestFieldsAreLiteLLMs(t *testing.T) {
	venv := os.Getenv("ORACLE_VENV")
	if venv == "" {
		t.Skip("ORACLE_VENV names no LiteLLM to compare with")
	}
	out, err := exec.Command(filepath.Join(venv, "bin", "python"), "../../tools/admin_fields.py", "--check", "litellm.json").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Every field of every request is either kept or known to have no effect: a new one does not pass in silence.
func TestEveryFieldIsPlaced(t *testing.T) {
	// Fields that say how a request is carried out, and those of LiteLLM's parts that sluice does not have.
	apart := map[string][]string{
		"/key/generate":    {"key", "duration", "soft_budget", "send_invite_email", "object_permission", "auto_rotate", "rotation_interval"},
		"/key/update":      {"key", "duration", "soft_budget", "object_permission", "auto_rotate", "rotation_interval"},
		"/team/new":        {"model_aliases", "object_permission", "team_member_budget", "team_member_rpm_limit", "team_member_tpm_limit", "team_member_budget_duration"},
		"/team/update":     {"model_aliases", "object_permission", "team_member_budget", "team_member_rpm_limit", "team_member_tpm_limit", "team_member_budget_duration"},
		"/customer/new":    append([]string{"object_permission"}, budgetFields...),
		"/customer/update": append([]string{"object_permission"}, budgetFields...),
	}
	kinds := map[string]string{"/key/generate": "key", "/key/update": "key", "/team/new": "team", "/team/update": "team", "/customer/new": "customer",
		"/customer/update": "customer", "/budget/new": "budget"}
	for path, kind := range kinds {
		for name := range litellm.Requests[path] {
			_, isColumn := litellm.Columns[kind][name]
			if !isColumn && !slices.Contains(inMetadata, name) && !slices.Contains(apart[path], name) {
				t.Errorf("%s has %s, which nothing keeps", path, name)
			}
		}
	}
}

func FuzzBodies(f *testing.F) {
	for _, body := range []string{`{}`, `{"key":1}`, `{"models":[null,{}],"metadata":[],"max_budget":1e400}`, `{"member":[{}]}`, `{"team_ids":[1,null]}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for model := range litellm.Requests {
			r := httptest.NewRequest("POST", "/", strings.NewReader(body))
			if d, fault := readBody(r, model); fault == nil {
				if _, err := json.Marshal(d); err != nil {
					t.Errorf("%s: %v", model, err)
				}
			}
		}
		_, _ = readMembers(document{"m": body}["m"])
	})
}
