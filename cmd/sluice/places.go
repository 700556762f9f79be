package main

import (
	"net/netip"
	"net/url"
	"strconv"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/xds"
)

// places gives a self-hosted deployment's cluster all of its addresses: those of a list, and those that a name
// may have. Envoy looks after them, beside the planner, which sees the deployment as a whole. Providers' own
// clouds look after their addresses themselves.
func places(c *xds.Cluster, d *config.Deployment, e adapters.Endpoint) {
	for _, base := range d.MoreBases {
		u, err := url.Parse(base) // read once already
		if err != nil {
			continue
		}
		port, err := strconv.Atoi(u.Port())
		if err != nil { // none: the scheme's own
			port = map[string]int{"http": 80, "https": 443}[u.Scheme]
		}
		c.More = append(c.More, xds.Place{Host: u.Hostname(), Port: uint32(port)})
	}
	_, err := netip.ParseAddr(e.Host)
	named := err != nil && e.Socket == "" && !e.Public
	if c.Several = len(c.More) > 0 || named; !c.Several {
		return
	}
	switch {
	case d.HealthPath != "":
		c.Check = d.HealthPath
	case len(c.More) > 0:
		c.Check = xds.CheckConnect
		// A name alone is not looked after: most have one address, and what is not asked is not late to be seen well.
	}
}
