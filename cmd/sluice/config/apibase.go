package config

import (
	"net/netip"
	"net/url"
	"strings"
)

// mostAddresses bounds the addresses of one deployment.
const mostAddresses = 256

// apiBases reads api_base: one URL, or a list of those of servers that are all alike.
func (r *reader) apiBases(d *Deployment, v *value, path string) {
	if v.kind != list {
		d.APIBase = r.apiBase(v, path)
		return
	}
	if len(v.items) == 0 || len(v.items) > mostAddresses {
		r.fault(v, path, "must have 1 to %d URLs", mostAddresses)
		return
	}
	d.APIBase, d.MoreBases = "", nil
	var first *url.URL
	for _, item := range v.items {
		if item.missing != "" {
			d.unusable(item, "api_base")
			return
		}
		text := r.apiBase(item, path)
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Hostname() == "":
			if err == nil && u.Scheme == "unix" {
				r.fault(item, path, "a list of addresses cannot hold a socket")
			}
			return
		case first == nil:
			first, d.APIBase = u, text
		case u.Scheme != first.Scheme || strings.TrimRight(u.Path, "/") != strings.TrimRight(first.Path, "/") || u.RawQuery != first.RawQuery:
			r.fault(item, path, "the URLs of one deployment may differ in their host and port only; others are deployments of their own")
			return
		default:
			d.MoreBases = append(d.MoreBases, text)
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil && u.Scheme == "https" && len(v.items) > 1 {
			r.fault(item, path, "several addresses with https must be names, by which their certificates are verified")
			return
		}
	}
}

// healthPath is where a self-hosted server says that it is well.
func (r *reader) healthPath(v *value, path string) string {
	s := r.str(v, path)
	if !strings.HasPrefix(s, "/") || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		r.fault(v, path, "must be a path such as /health")
		return ""
	}
	return s
}
