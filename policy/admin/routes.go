package admin

import (
	"net/http"
	"slices"
	"strings"
)

// managed are the routes of the admin API, with LiteLLM's rule for who may call them and its way to answer a refusal.
var managed = slices.Concat([]route{
	{http.MethodPost, "/key/generate", "/key/generate", users, proxied, generateKey},
	{http.MethodPost, "/key/service-account/generate", "/key/generate", users, proxied, generateServiceKey},
	{http.MethodPost, "/key/update", "/key/update", users, asAuth, updateKey},
	{http.MethodPost, "/key/delete", "/key/delete", users, proxied, deleteKeys},
	{http.MethodPost, "/key/block", "/key/block", users, detailed, blockKey(true)},
	{http.MethodPost, "/key/unblock", "/key/block", users, detailed, blockKey(false)},
	{http.MethodPost, "/key/regenerate", "/key/regenerate", users, proxied, regenerateKey},
	{http.MethodPost, "/key/{key}/regenerate", "/key/regenerate", users, proxied, regenerateKey},
	{http.MethodPost, "/key/{key}/reset_spend", "/key/reset_spend", users, proxied, resetKeySpend},
	{http.MethodGet, "/key/info", "", everybody, proxied, keyInfo},
	{http.MethodPost, "/v2/key/info", "/key/delete", everybody, proxied, keysInfo},
	{http.MethodGet, "/key/list", "", everybody, proxied, listKeys},
	{http.MethodGet, "/key/aliases", "", users, proxied, keyAliases},

	{http.MethodPost, "/team/new", "/team/new", adminsOnly, proxied, newTeam},
	{http.MethodPost, "/team/update", "/team/update", everybody, proxied, updateTeam},
	{http.MethodPost, "/team/delete", "/team/delete", adminsOnly, detailed, deleteTeams},
	{http.MethodPost, "/team/block", "/team/block", adminsOnly, detailed, blockTeam(true)},
	{http.MethodPost, "/team/unblock", "/team/block", adminsOnly, detailed, blockTeam(false)},
	{http.MethodPost, "/team/member_add", "/team/member_add", everybody, detailed, addMembers},
	{http.MethodPost, "/team/member_update", "/team/member_update", everybody, detailed, updateMember},
	{http.MethodPost, "/team/member_delete", "/team/member_delete", everybody, detailed, deleteMember},
	{http.MethodGet, "/team/info", "", everybody, asAuth, teamInfo},
	{http.MethodGet, "/team/list", "", everybody, detailed, listTeams},

	{http.MethodPost, "/user/new", "/user/new", adminsOnly, proxied, newUser},
	{http.MethodPost, "/user/update", "/user/update", adminsOnly, asAuth, updateUser},
	{http.MethodPost, "/user/delete", "/user/delete", adminsOnly, detailed, deleteUsers},
	{http.MethodGet, "/user/info", "", everybody, proxied, userInfo},
	{http.MethodGet, "/v2/user/info", "", everybody, proxied, userInfoV2},
	{http.MethodGet, "/user/list", "", everybody, detailed, listUsers},
	{http.MethodGet, "/user/get_users", "", adminsOnly, detailed, listUsers},

	{http.MethodPost, "/budget/new", "/budget/new", adminsOnly, detailed, newBudget},
	{http.MethodPost, "/budget/update", "/budget/new", adminsOnly, detailed, updateBudget},
	{http.MethodPost, "/budget/info", "/budget/info", adminsOnly, detailed, budgetInfo},
	{http.MethodPost, "/budget/delete", "/budget/delete", adminsOnly, detailed, deleteBudget},
	{http.MethodGet, "/budget/list", "", adminsOnly, detailed, listBudgets},
	{http.MethodGet, "/budget/settings", "", adminsOnly, detailed, budgetSettings},
}, customerRoutes("/customer"), customerRoutes("/end_user"), modelRoutes, spendRoutes)

func customerRoutes(prefix string) []route {
	return []route{
		{http.MethodPost, prefix + "/new", "/customer/new", adminsOnly, proxied, newCustomer},
		{http.MethodPost, prefix + "/update", "/customer/update", adminsOnly, proxied, updateCustomer},
		{http.MethodPost, prefix + "/delete", "/customer/delete", adminsOnly, proxied, deleteCustomers},
		{http.MethodPost, prefix + "/block", "/customer/block", adminsOnly, detailed, blockCustomers(true)},
		{http.MethodPost, prefix + "/unblock", "/customer/block", adminsOnly, detailed, blockCustomers(false)},
		{http.MethodGet, prefix + "/info", "", adminsOnly, proxied, customerInfo},
		{http.MethodGet, prefix + "/list", "", adminsOnly, proxied, listCustomers},
	}
}

// managedRoutes are all of them.
func (s *Server) managedRoutes() []route { return managed }

// pattern is a route with one {part}, which may hold anything but a slash.
type pattern struct {
	before, name, after string
	methods             map[string]handler
}

// addManaged adds the admin API to the server's routes.
func (s *Server) addManaged(routes []route) {
	for _, rt := range routes {
		before, rest, ok := strings.Cut(rt.path, "{")
		if !ok {
			if s.routes[rt.path] == nil {
				s.routes[rt.path] = map[string]handler{}
			}
			s.routes[rt.path][rt.method] = s.manage(rt)
			continue
		}
		name, after, _ := strings.Cut(rest, "}")
		i := slices.IndexFunc(s.patterns, func(p pattern) bool { return p.before == before && p.after == after })
		if i < 0 {
			i = len(s.patterns)
			s.patterns = append(s.patterns, pattern{before, name, after, map[string]handler{}})
		}
		s.patterns[i].methods[rt.method] = s.manage(rt)
	}
}

// matchPattern finds a route with a part that is the request's own.
func (s *Server) matchPattern(r *http.Request, path string) map[string]handler {
	for _, p := range s.patterns {
		part, ok := strings.CutPrefix(path, p.before)
		if part, ok = cutSuffix(part, p.after, ok); ok && part != "" && !strings.Contains(part, "/") {
			r.SetPathValue(p.name, part)
			return p.methods
		}
	}
	return nil
}

func cutSuffix(s, suffix string, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, suffix)
}
