package fetch

import (
	"net"
	"net/netip"
	"syscall"
)

// notPublic are the networks among the unicast addresses that are not the public internet's, or that lead
// out of it by another name: IANA's special-purpose registries, tunnels (6to4, Teredo), and the address
// under which Azure's fabric answers its machines. IPv6 outside 2000::/3 is not public at all, which
// covers NAT64, mapped and local addresses.
//
// https://www.iana.org/assignments/iana-ipv4-special-registry
// https://www.iana.org/assignments/iana-ipv6-special-registry
var notPublic = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32",
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	linkLocal     = prefixes("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
		"100.100.100.200/32", "192.0.0.192/32", "::/128", "fe80::/10", "ff00::/8", "fd00:ec2::/32", "fd20:ce::/32",
		"64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, p := range list {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

// public tells whether an address belongs to the public internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" || a.Is6() && !globalUnicast.Contains(a) {
		return false
	}
	return !within(a, notPublic)
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// controlPublic is called for each address before it is connected to, after all names are resolved: there
// is nothing between this judgement and the connection.
func controlPublic(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !public(to.Addr()) || own(to.Addr()) {
		return errPrivate
	}
	return nil
}

// controlNotLinkLocal judges the addresses of hosts that the operator allows.
func controlNotLinkLocal(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || to.Addr().Zone() != "" || within(to.Addr().Unmap(), linkLocal) {
		return errPrivate
	}
	return nil
}

// own tells whether an address is one of this machine's: a public one leads past the firewall to what
// listens here.
func own(a netip.Addr) bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return true // cannot be told: refuse
	}
	a = a.Unmap()
	for _, n := range addresses {
		if p, ok := n.(*net.IPNet); ok {
			if mine, ok := netip.AddrFromSlice(p.IP); ok && mine.Unmap() == a {
				return true
			}
		}
	}
	return false
}
