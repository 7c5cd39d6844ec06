package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/logs"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/trace"
	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// What stubs need to know of a node's own endpoint.
const (
	Subprotocol = wire.Subprotocol // of the WebSocket
	Path        = wire.Path        // of its URL
)

// MaxEntry is the largest value of [Limits.Entry], in bytes.
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
	// NATSKey is the secret that the nodes of the domain share, 32 random bytes or more: it authenticates their messages at
	// NATS. It must be set if NATS is.
	NATSKey []byte
	// NATSCredentials is the file with the node's NATS user (JWT and key), where NATS asks for one.
	NATSCredentials string
	// Replicas is how many servers of an external cluster keep each piece of state; default 1.
	Replicas int

	TLS *tls.Config // nil: plain, which is allowed on loopback only
	// Insecure allows plain connections on every address: for a node behind a proxy that ends TLS.
	Insecure bool
	// PublicURL is the WebSocket URL under which stubs reach the node, for its descriptor; default: the one that the
	// descriptor was asked at.
	PublicURL string
	// Legacy allows the reference implementation's two JSON dialects. They do not prove who connects.
	Legacy bool
	// Origins are the host patterns of web pages that may open a connection, besides the node's own.
	Origins []string

	// Proxies are the networks of the proxies before the node: for their connections the last address in X-Forwarded-For
	// that is not a proxy's counts. If Insecure is set and Proxies is not, nothing is counted by address.
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

// Event is something that crossed the node; see [Options.Trace].
type Event = trace.Event

// What an operator bounds; see package limits.
type (
	Limits = limits.Limits
	Times  = limits.Times
)

// DefaultLimits are the limits that zero values mean.
func DefaultLimits() Limits { return limits.Defaults() }

// DefaultTimes are the times that zero values mean.
func DefaultTimes() Times { return limits.DefaultTimes() }

func (o Options) withDefaults() Options {
	o.Domain = strings.ToLower(o.Domain) // as all addresses are
	o.Limits, o.Times = o.Limits.WithDefaults(), o.Times.WithDefaults()
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
	errs = append(errs, o.Limits.Check(), o.Admit.Check(), o.Times.Check())
	return errors.Join(errs...)
}

// sources says which addresses stand for one stranger each.
func (o Options) sources() quota.Sources {
	s := quota.Sources{Proxies: o.Proxies, Exempt: o.Exempt, Off: o.Insecure && len(o.Proxies) == 0}
	if s.Exempt == nil {
		s.Exempt = quota.LoopbackNetworks()
	}
	return s
}

// admissionKey is the file of the key that tokens are signed with.
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

// Invite makes the text of a token for the node that o describes. If ID is empty, Invite chooses one. It works while the node
// runs; all nodes of the domain that have the same key take the token.
func Invite(o Options, t Token) (text string, made Token, err error) {
	return admission.Invite(o.Domain, o.admissionKey(), t)
}
