package admin

import (
	"net/http"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/keys"
)

// access is who may call a route at all; what they may do with it is the route's own matter. It follows LiteLLM's
// LiteLLMRoutes (proxy/_types.py) and RouteChecks (proxy/auth/route_checks.py).
type access int

const (
	adminsOnly access = iota // proxy admins; viewers too, if it only reads
	everybody                // any key; the route decides by the caller (info_routes, self_managed_routes)
	users                    // internal users too (key_management_routes)
)

// may is nil if the caller may call the route.
func (c *call) may(rt route) *apierror.Error {
	if c.key.IsAdmin() {
		return nil
	}
	role := c.key.RoleInEffect()
	reads := rt.method == http.MethodGet
	if role == keys.AdminViewer {
		// A viewer reads whatever an admin reads. Who may be called by everybody is not more than that: writes stop here.
		if reads || rt.path == "/user/update" || rt.path == "/budget/info" {
			return nil
		}
		return problem(http.StatusForbidden, "auth_error", "None", "user not allowed to access this route, role= %s. Trying to access: %s", role, c.path)
	}
	switch rt.access {
	case everybody:
		return nil
	case users:
		if role == keys.InternalUser {
			return nil
		}
	}
	if len(c.key.AllowedRoutes) > 0 && namesRoute(c.key.AllowedRoutes, c.path) { // the key was made for it
		return nil
	}
	name, id := "unknown", "unknown"
	if u := c.key.User(); u != nil {
		id = u.ID
		if u.Role != "" {
			name = string(u.Role)
		}
	}
	return problem(http.StatusUnauthorized, "auth_error", "None", "Authentication Error, Only proxy admin can be used to generate, delete, update info "+
		"for new keys/users/teams. Route=%s. Your role=%s. Your user_id=%s", c.path, name, maskID(id))
}

// namesRoute tells whether allowed_routes name a path itself: names of groups give no more than the role does.
func namesRoute(allowed []string, path string) bool {
	for _, a := range allowed {
		if !strings.HasPrefix(a, "/") {
			continue
		}
		if prefix, ok := strings.CutSuffix(a, "*"); ok && strings.HasPrefix(path, prefix) || path == a || strings.HasPrefix(path, a+"/") {
			return true
		}
	}
	return false
}

// viewerUpdates keeps a viewer to the only thing that it may write: an email.
func (c *call) viewerUpdates(rt route) error {
	if rt.path != "/user/update" || c.key.RoleInEffect() != keys.AdminViewer {
		return nil
	}
	for name := range c.body {
		if name != "user_email" && name != "user_id" {
			return problem(http.StatusForbidden, "auth_error", "None", "user not allowed to access this route, role= %s. Trying to access: %s and updating "+
				"invalid param: %s. only user_email can be updated", keys.AdminViewer, c.path, name)
		}
	}
	if id := text(c.body, "user_id"); id != "" && id != c.key.UserID {
		return problem(http.StatusForbidden, "auth_error", "None", "user not allowed to access this route, role= %s. Trying to access: %s and updating "+
			"invalid param: user_id. only user_email can be updated", keys.AdminViewer, c.path)
	}
	return nil
}

// maskID shows the ends of an id.
func maskID(id string) string {
	const prefix, suffix = 6, 2
	if len(id) <= 4 {
		return "***"
	}
	if len(id) <= prefix+suffix {
		return strings.Repeat("*", len(id))
	}
	return printable(id[:prefix]) + strings.Repeat("*", len(id)-prefix-suffix) + printable(id[len(id)-suffix:])
}

// admin and sees tell proxy admins, and those who may read what they read.
func (c *call) admin() bool { return c.key.IsAdmin() }

func (c *call) sees() bool {
	return c.admin() || c.key.RoleInEffect() == keys.AdminViewer
}

// teamRole is the caller's role in a team: "admin", "user", or none.
func (c *call) teamRole(team document) string {
	if c.key.UserID == "" {
		return ""
	}
	for _, m := range members(team) {
		if text(m, "user_id") == c.key.UserID {
			return text(m, "role")
		}
	}
	return ""
}

// governs tells whether the caller is an admin of the team, or of everything.
func (c *call) governs(team document) bool { return c.admin() || c.teamRole(team) == "admin" }
