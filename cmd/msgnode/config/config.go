// Package config is a Message Node's configuration: its keys, and what they mean for the node. Package internal/config has
// the dialect, which is the runtime's too. A variable is PROTOFLY_NODE_ and the key: PROTOFLY_NODE_LIMITS__CONNECTIONS.
package config

import (
	"errors"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/plugins/msgnode-ws/node"
	"github.com/protofly/protofly/sdk/message"
)

// Config is the effective configuration. [Schema] says what the keys mean.
type Config struct {
	Domain          string   `koanf:"domain"`
	Listen          string   `koanf:"listen"`
	Data            string   `koanf:"data"`
	NATS            string   `koanf:"nats"`
	NATSKeyFile     string   `koanf:"nats_key_file"`
	NATSCredentials string   `koanf:"nats_credentials"`
	Replicas        int      `koanf:"replicas"`
	TLS             TLS      `koanf:"tls"`
	Insecure        bool     `koanf:"insecure"`
	PublicURL       string   `koanf:"public_url"`
	Legacy          bool     `koanf:"legacy"`
	Origins         []string `koanf:"origins"`
	Proxies         []string `koanf:"proxies"`
	Exempt          []string `koanf:"exempt"`
	Admit           Admit    `koanf:"admit"`
	Limits          Limits   `koanf:"limits"`
	Times           Times    `koanf:"times"`
	Log             Log      `koanf:"log"`
}

// TLS are the files of the node's certificate and key.
type TLS struct {
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
}

// Log is how the node logs.
type Log struct {
	Format string `koanf:"format"`
	Level  string `koanf:"level"`
}

// Admit is [node.Admit].
type Admit struct {
	Members  string   `koanf:"members"`
	Visitors string   `koanf:"visitors"`
	Runtimes []string `koanf:"runtimes"`
	Revoked  []string `koanf:"revoked"`
	Key      string   `koanf:"key"`
}

// Limits are [node.Limits].
type Limits struct {
	Connections     int   `koanf:"connections"`
	Unproven        int   `koanf:"unproven"`
	Legacy          int   `koanf:"legacy"`
	PerAddress      int   `koanf:"per_address"`
	Queue           int64 `koanf:"queue"`
	Memory          int64 `koanf:"memory"`
	Handshakes      int   `koanf:"handshakes"`
	Newcomers       int   `koanf:"newcomers"`
	Requests        int   `koanf:"requests"`
	AddressRequests int   `koanf:"address_requests"`
	Addresses       int   `koanf:"addresses"`
	Block           int   `koanf:"block"`
	Subscriptions   int   `koanf:"subscriptions"`
	Registrations   int   `koanf:"registrations"`
	Entry           int   `koanf:"entry"`
	Writes          int   `koanf:"writes"`
	Results         int   `koanf:"results"`
	RuntimeState    int64 `koanf:"runtime_state"`
	AddressState    int64 `koanf:"address_state"`
	State           int64 `koanf:"state"`
	Rows            int   `koanf:"rows"`
	MinFree         int64 `koanf:"min_free"`
}

// Times are [node.Times].
type Times struct {
	Handshake time.Duration `koanf:"handshake"`
	Write     time.Duration `koanf:"write"`
	Ping      time.Duration `koanf:"ping"`
	Grace     time.Duration `koanf:"grace"`
	Sweep     time.Duration `koanf:"sweep"`
	State     time.Duration `koanf:"state"`
	Retention time.Duration `koanf:"retention"`
}

// Loaded is a configuration and where each of its keys came from.
type Loaded struct {
	Config
	*config.Values
}

// Load reads a configuration. The error joins all mistakes that were found; each names its place. Load reads nothing on the
// machine but the file; [Config.Options] reads the files that the keys name.
func Load(s config.Sources) (*Loaded, error) {
	v, err := Schema().Load(s)
	if v == nil {
		return nil, err
	}
	l := &Loaded{Values: v}
	if e := v.Decode(&l.Config); e != nil {
		return nil, errors.Join(err, e)
	}
	return l, err
}

// Show is the effective configuration as YAML that could be a file, with secrets hidden; with origin, each line says
// where its value came from.
func (l *Loaded) Show(origin bool) (string, error) { return l.Values.Show(origin, nil) }

// Ready tells whether a node can start with the configuration on this machine.
func (l *Loaded) Ready() error {
	_, err := l.Options(hclog.NewNullLogger())
	errs := []error{err}
	if l.NATS == "" && l.Data != "" {
		if err := config.Writable(l.Data); err != nil {
			errs = append(errs, l.Errorf("data", "%w", err))
		}
	}
	if l.NATSCredentials != "" {
		f, err := os.Open(l.NATSCredentials)
		if err != nil {
			errs = append(errs, l.Errorf("nats_credentials", "%w", err))
		} else {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Options makes the node's options, and reads the files that the configuration names. The error names everything that is wrong.
func (c *Config) Options(log hclog.Logger) (node.Options, error) {
	certificate, err := certificate(c.TLS.Cert, c.TLS.Key)
	errs := []error{err}
	proxies, err := networks(c.Proxies)
	errs = append(errs, err)
	exempt, err := networks(c.Exempt)
	errs = append(errs, err)
	secret, err := secretOf(c.NATSKeyFile)
	if err != nil {
		errs = append(errs, err)
		secret = make([]byte, 32) // for the other checks: one is given, so they should not ask for it
	}
	o := node.Options{Proxies: proxies, Exempt: exempt, Admit: c.Admit.Options(), Domain: c.Domain, Listen: c.Listen, Data: c.Data,
		NATS: c.NATS, NATSKey: secret, NATSCredentials: c.NATSCredentials, Replicas: c.Replicas, TLS: certificate,
		Insecure: c.Insecure, PublicURL: c.PublicURL, Legacy: c.Legacy, Origins: c.Origins, Limits: node.Limits(c.Limits),
		Times: node.Times(c.Times), Log: log}
	errs = append(errs, o.Check())
	return o, errors.Join(errs...)
}

// Options returns the rules on who may use the node.
func (a Admit) Options() node.Admit {
	o := node.Admit{Members: a.Members, Visitors: a.Visitors, Revoked: a.Revoked, Key: a.Key}
	for _, u := range a.Runtimes {
		o.Runtimes = append(o.Runtimes, message.URL(u))
	}
	return o
}
