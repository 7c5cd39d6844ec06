package config

import (
	"fmt"
	"net/netip"
)

// networks reads networks, or single addresses. The list is never nil.
func networks(texts []string) ([]netip.Prefix, error) {
	list := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%q: want a network such as 192.0.2.0/24, or an address", text)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}
