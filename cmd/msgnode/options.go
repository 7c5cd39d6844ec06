package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node"
	"github.com/protofly/protofly/sdk/message"
)

// options checks the configuration and makes the node's options of it.
func (c *Config) options(log hclog.Logger) (node.Options, error) {
	var errs []error
	if c.Log.Format != "text" && c.Log.Format != "json" {
		errs = append(errs, fmt.Errorf("config: log.format %q: want text or json", c.Log.Format))
	}
	if hclog.LevelFromString(c.Log.Level) == hclog.NoLevel {
		errs = append(errs, fmt.Errorf("config: log.level %q: want trace, debug, info, warn or error", c.Log.Level))
	}
	certificate, err := certificate(c.TLS.Cert, c.TLS.Key)
	if err != nil {
		errs = append(errs, err)
	}
	if c.Admit.Members == "" || c.Admit.Visitors == "" {
		errs = append(errs, errors.New("config: admit: members and visitors: want anyone, listed or invited"))
	}
	proxies, err := networks("proxies", c.Proxies)
	errs = append(errs, err)
	exempt, err := networks("exempt", c.Exempt)
	errs = append(errs, err)
	secret, err := secretOf(c.NATSKeyFile)
	if err != nil {
		errs = append(errs, err)
		secret = make([]byte, 32) // for the other checks: that one is given is not to be asked for
	}
	o := node.Options{Proxies: proxies, Exempt: exempt, Admit: c.Admit.options(), Domain: c.Domain, Listen: c.Listen, Data: c.Data,
		NATS: c.NATS, NATSKey: secret, NATSCredentials: c.NATSCredentials, Replicas: c.Replicas, TLS: certificate,
		Insecure: c.Insecure, PublicURL: c.PublicURL, Legacy: c.Legacy, Origins: c.Origins, Limits: node.Limits(c.Limits),
		Times: node.Times(c.Times), Log: log}
	if err := o.Check(); err != nil {
		errs = append(errs, err)
	}
	return o, errors.Join(errs...)
}

func (a Admit) options() node.Admit {
	o := node.Admit{Members: a.Members, Visitors: a.Visitors, Revoked: a.Revoked, Key: a.Key}
	for _, u := range a.Runtimes {
		o.Runtimes = append(o.Runtimes, message.URL(u))
	}
	return o
}

// networks reads the networks, or single addresses, of a key. The list is never nil.
func networks(key string, texts []string) ([]netip.Prefix, error) {
	list, errs := make([]netip.Prefix, 0, len(texts)), []error(nil)
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("config: %s: %q: want a network such as 192.0.2.0/24, or an address", key, text))
			continue
		}
		list = append(list, p.Masked())
	}
	return list, errors.Join(errs...)
}

// shown is the configuration without its secrets.
func (c Config) shown() Config {
	c.NATS = node.RedactNATS(c.NATS)
	return c
}
