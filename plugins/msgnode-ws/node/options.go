package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// What stubs need to know of a node's own endpoint.
const (
	Subprotocol = wire.Subprotocol // of the WebSocket
	Path        = wire.Path        // of its URL
)

// MaxEntry is the most that [Limits.Entry] may be, in bytes.
const MaxEntry = table.MaxRow

// Options are what an operator decides about a node. Domain and Data (or NATS) must be set; the zero value of
// everything else is the default.
type Options struct {
	Domain string // the domain that the node serves
	Listen string // host:port of the HTTP server; default 127.0.0.1:0
	// Data is the folder of the embedded NATS server's files: registrations, allocations, subscriptions.
	Data string
	// NATS is the URL of an external NATS cluster with JetStream, which then holds the state instead of Data. Nodes of
	// one domain at one cluster are one Message Node.
	NATS string
	// NATSKey is what the nodes of the domain share, 32 random bytes or more: by it they know each other's messages
	// at NATS. It must be set where NATS is.
	NATSKey []byte
	// NATSCredentials is the file with the node's NATS user (JWT and key), where NATS asks for one.
	NATSCredentials string
	// Replicas is how many servers of an external cluster keep each piece of state; default 1.
	Replicas int

	TLS *tls.Config // nil: plain, which is allowed on loopback only
	// Insecure allows plain on every address: for a node behind a proxy that ends TLS.
	Insecure bool
	// PublicURL is the WebSocket URL under which stubs reach the node, for its descriptor; default: the one that the
	// descriptor was asked at.
	PublicURL string
	// Legacy allows the reference implementation's two JSON dialects. They prove nothing of who connects.
	Legacy bool
	// Origins are the host patterns of web pages that may open a connection, besides the node's own.
	Origins []string

	// Proxies are the networks of the proxies before the node: for their connections the last address in X-Forwarded-For
	// that is not a proxy's counts. Where Insecure is set and Proxies is not, nothing is counted by address.
	Proxies []netip.Prefix
	// Exempt are the networks whose connections are not counted by address; nil: loopback.
	Exempt []netip.Prefix

	Admit  Admit // who may use the node
	Limits Limits
	Times  Times
	Log    hclog.Logger // default: none
	Trace  func(Event)  // nil: no trace; called from many goroutines, must be quick
}

// What cmd/msgnode needs of package admission.
type (
	Admit = admission.Rules
	Token = admission.Token
)

// Who is admitted; see [Admit].
const (
	Anyone  = admission.Anyone
	Listed  = admission.Listed
	Invited = admission.Invited
)

// Limits bound what the node spends. Zero means the default; [DefaultLimits] has them all.
type Limits struct {
	Connections int   // of runtimes, at once; a further one gets HTTP 503
	Unproven    int   // at once that have not shown yet whose they are; then the oldest are closed, or a new one gets HTTP 503
	Legacy      int   // of Connections in the reference's dialects; then HTTP 503
	PerAddress  int   // of one IPv4 address or IPv6 /64 network, at once; then HTTP 429
	Queue       int64 // bytes that wait for one connection; then Data is dropped, or it is closed with code 1013
	Memory      int64 // bytes that are kept for all of them; then one of the address with the most is closed with code 1013
	Handshakes  int   // WebSockets from one address in a second; then HTTP 429. Here and below: 10 times that at once
	Newcomers   int   // runtimes that the node does not know, from one address in an hour, a fifth of them at once; then 429
	Requests    int   // what requests to the node's functions on one connection may cost in a second, in units of 20 µs; then 429
	// AddressRequests is the same for all connections and requests of one address.
	AddressRequests int
	Addresses       int   // allocated addresses of one runtime; then 429
	Block           int   // addresses in one allocation; then 413
	Subscriptions   int   // addresses that one runtime subscribes; then 429
	Registrations   int   // Domain Registry entries of one runtime; then 429
	Entry           int   // bytes of a Domain Registry entry; then 413
	Writes          int   // writes to the state by one runtime in a second, and 10 times that at once; then 429
	Results         int   // entries in an answer of the Domain Registry; then it chooses fairly among them
	RuntimeState    int64 // bytes of all that the state has of one runtime; then 429
	AddressState    int64 // bytes of all that came from one address; then 429
	State           int64 // bytes of the whole state; then what makes it larger is answered 500
	Rows            int   // entries of the whole state; the same
	MinFree         int64 // bytes that stay free on the disk under Data; then writes are answered 500
}

// Times are the node's periods. Zero means the default; [DefaultTimes] has them all.
type Times struct {
	Handshake time.Duration // for the whole handshake of a connection
	Write     time.Duration // until a packet is written; then the connection is closed
	Ping      time.Duration // between pings, and how long an answer may take
	Grace     time.Duration // how long subscriptions outlive their connection
	Sweep     time.Duration // between looks for what has expired
	State     time.Duration // for one read or write of the state
	Retention time.Duration // how long disconnected registrations, and addresses of runtimes that stay away, are kept
}

// DefaultLimits are the limits that zero values mean.
func DefaultLimits() Limits {
	return Limits{Connections: 10_000, Unproven: 1024, Legacy: 1000, PerAddress: 512, Queue: 16 << 20, Memory: 512 << 20,
		Handshakes: 50, Newcomers: 1000, Requests: 1000, AddressRequests: 4000, Addresses: 4096, Block: 256, Subscriptions: 4096,
		Registrations: 1024, Entry: 64 << 10, Writes: 200, Results: 1000, RuntimeState: 8 << 20, AddressState: 64 << 20,
		State: 1 << 30, Rows: 1_000_000, MinFree: 16 << 20}
}

// DefaultTimes are the times that zero values mean.
func DefaultTimes() Times {
	return Times{Handshake: 10 * time.Second, Write: 20 * time.Second, Ping: 20 * time.Second, Grace: 30 * time.Second,
		Sweep: 5 * time.Second, State: 5 * time.Second, Retention: 30 * 24 * time.Hour}
}

func (o Options) withDefaults() Options {
	l, t := DefaultLimits(), DefaultTimes()
	for _, p := range []struct{ v, d *int }{
		{&o.Limits.Connections, &l.Connections}, {&o.Limits.Addresses, &l.Addresses}, {&o.Limits.Block, &l.Block},
		{&o.Limits.Subscriptions, &l.Subscriptions}, {&o.Limits.Registrations, &l.Registrations},
		{&o.Limits.Entry, &l.Entry}, {&o.Limits.Writes, &l.Writes}, {&o.Limits.Results, &l.Results},
		{&o.Limits.Unproven, &l.Unproven}, {&o.Limits.Legacy, &l.Legacy}, {&o.Limits.PerAddress, &l.PerAddress},
		{&o.Limits.Handshakes, &l.Handshakes}, {&o.Limits.Newcomers, &l.Newcomers}, {&o.Limits.Requests, &l.Requests},
		{&o.Limits.AddressRequests, &l.AddressRequests}, {&o.Limits.Rows, &l.Rows},
	} {
		if *p.v == 0 {
			*p.v = *p.d
		}
	}
	for _, p := range []struct{ v, d *int64 }{
		{&o.Limits.Queue, &l.Queue}, {&o.Limits.MinFree, &l.MinFree}, {&o.Limits.Memory, &l.Memory},
		{&o.Limits.RuntimeState, &l.RuntimeState}, {&o.Limits.AddressState, &l.AddressState}, {&o.Limits.State, &l.State},
	} {
		if *p.v == 0 {
			*p.v = *p.d
		}
	}
	for _, p := range []struct{ v, d *time.Duration }{
		{&o.Times.Handshake, &t.Handshake}, {&o.Times.Write, &t.Write}, {&o.Times.Ping, &t.Ping}, {&o.Times.Grace, &t.Grace},
		{&o.Times.Sweep, &t.Sweep}, {&o.Times.State, &t.State}, {&o.Times.Retention, &t.Retention},
	} {
		if *p.v == 0 {
			*p.v = *p.d
		}
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	o.Log = logs.Limit(o.Log)
	return o
}

// Check tells whether a node can run with o. The error names everything that is wrong.
func (o Options) Check() error {
	o = o.withDefaults()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if _, err := message.ParseURL("domain://msg-node." + o.Domain); err != nil || o.Domain == "" || strings.Contains(o.Domain, "/") {
		bad("domain %q: want a domain name such as example.com", o.Domain)
	}
	if o.NATS == "" && o.Data == "" {
		bad("data: the folder for the node's state is needed (or the URL of a NATS cluster)")
	}
	if o.NATS != "" {
		if err := backbone.CheckNATS(o.NATS); err != nil {
			errs = append(errs, err)
		}
		if len(o.NATSKey) < backbone.MinSecret {
			bad("nats: the nodes of a domain share a secret, by which they know each other's messages from those of other clients: "+
				"set nats_key_file to a file with %d random characters or more, the same for each node", backbone.MinSecret)
		}
	}
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		bad("listen %q: want host:port such as 127.0.0.1:4433: %w", o.Listen, err)
	} else if o.TLS == nil && !o.Insecure && !loopback(host) {
		bad("listen %q: plain WebSockets are allowed on loopback only; give a TLS certificate and key, or set insecure where a proxy ends TLS", o.Listen)
	}
	if o.PublicURL != "" && !strings.HasPrefix(o.PublicURL, "ws://") && !strings.HasPrefix(o.PublicURL, "wss://") {
		bad("public URL %q: want ws://… or wss://…", o.PublicURL)
	}
	l, t := o.Limits, o.Times
	if min(l.Connections, l.Unproven, l.Legacy, l.PerAddress, l.Handshakes, l.Newcomers, l.Requests, l.AddressRequests, l.Addresses, l.Block,
		l.Subscriptions, l.Registrations, l.Entry, l.Writes, l.Results, l.Rows) < 0 || min(l.MinFree, l.RuntimeState, l.AddressState, l.State) < 0 {
		bad("limits: a negative number is no limit")
	}
	if l.Memory < l.Queue {
		bad("limits: memory: at least as much as queue, %d", l.Queue)
	}
	errs = append(errs, o.Admit.Check())
	if l.Entry > table.MaxRow {
		bad("limits: entry: at most %d", table.MaxRow)
	}
	if l.Queue < 2<<20 {
		bad("limits: queue: at least %d, room for one large packet", 2<<20)
	}
	for _, d := range []struct {
		name string
		time time.Duration
	}{{"handshake", t.Handshake}, {"write", t.Write}, {"ping", t.Ping}, {"grace", t.Grace}, {"sweep", t.Sweep}, {"state", t.State}, {"retention", t.Retention}} {
		if d.time < time.Millisecond { // a number without a unit counts nanoseconds
			bad("times: %s: %v; want a time of 1ms or more, such as 30s", d.name, d.time)
		}
	}
	return errors.Join(errs...)
}

// sources are the addresses that stand for one stranger each.
func (o Options) sources() quota.Sources {
	s := quota.Sources{Proxies: o.Proxies, Exempt: o.Exempt, Off: o.Insecure && len(o.Proxies) == 0}
	if s.Exempt == nil {
		s.Exempt = quota.LoopbackNetworks()
	}
	return s
}

// admissionKey is where the key is that tokens are signed with.
func (o Options) admissionKey() admission.KeyFile {
	if o.Admit.Key != "" || o.Data == "" {
		return admission.KeyFile{Name: o.Admit.Key}
	}
	return admission.KeyFile{Name: filepath.Join(o.Data, "admission-key.pem"), Make: true}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
