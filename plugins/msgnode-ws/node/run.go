package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/admission"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
	"github.com/protofly/protofly/sdk/message"
)

// closeTime is how long connections have to answer that the node stops.
const closeTime = 2 * time.Second

// New starts a node: its NATS, its state and its listening socket. It serves nobody before [Node.Serve]. The error says
// what is wrong with o or what could not be opened.
func New(ctx context.Context, o Options) (_ *Node, err error) {
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("message node: %w", err)
	}
	o = o.withDefaults()
	n := &Node{opts: o, log: o.Log, id: backbone.Hash(newSecret())[:12], subjects: backbone.NewSubjects(o.Domain),
		conns: map[*conn]struct{}{}, runtimes: map[message.URL]*conn{}, byID: map[uint64]*conn{},
		missing: map[message.URL]time.Time{}}
	n.rates, n.memory.Limit = newRates(o.Limits), o.Limits.Memory
	n.ctx, n.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	if o.NATS == "" {
		if n.unlock, err = lockFolder(o.Data); err != nil {
			return nil, err
		}
	}
	// The socket comes before the state: a port in use is the most frequent mistake and the quickest to see.
	socket, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("message node: listen: %w; is the port in use? choose another one, or 0 for any", err)
	}
	n.listener = &listener{Listener: socket, sources: o.sources(), tls: o.TLS != nil, arrivals: quota.NewBuckets[quota.Source](rate.Limit(2*o.Limits.Handshakes), 20*o.Limits.Handshakes),
		gate: quota.NewGate(o.Limits.Unproven, o.Limits.PerAddress, o.Limits.Connections)}
	if n.listener.sources.Off {
		n.log.Warn("connections are not counted by address: insecure says that a proxy stands before the node, and proxies does not name it")
	}
	if n.admission, err = admission.New(o.Domain, o.Admit, o.admissionKey()); err != nil {
		return nil, fmt.Errorf("message node: admit: %w", err)
	}
	if o.NATS != "" {
		if n.seal, err = backbone.NewSeal(o.NATSKey, o.Domain); err != nil {
			return nil, err
		}
	}
	if n.backbone, err = backbone.Start(backbone.Options{Domain: o.Domain, URL: o.NATS, Credentials: o.NATSCredentials, Data: o.Data, Log: o.Log, Lost: n.overrun}); err != nil {
		return nil, err
	}
	n.interests = backbone.NewInterests[*conn](n.backbone.Messages)
	if _, err = n.backbone.Messages.ChanSubscribe(n.subjects.Unanswered(n.id)+".>", n.interests.In); err != nil {
		return nil, fmt.Errorf("message node: %w", err)
	}
	if err = n.openState(ctx); err != nil {
		return nil, err
	}
	n.wg.Go(n.dispatch)
	n.wg.Go(n.sweep)
	return n, nil
}

// Serve answers connections until ctx ends, then closes the node: connections are told that it stops (code 1001). It
// returns nil after that, or the error that the HTTP server ended with.
func (n *Node) Serve(ctx context.Context) error {
	s := n.server()
	done := make(chan error, 1)
	go func() { done <- n.serveHTTP(s) }()
	var err error
	select {
	case <-ctx.Done():
		s.Close()
		<-done
	case err = <-done:
	}
	n.Close()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// Close ends every connection, waits for all that the node started, and frees its data folder. It may be called more
// than once.
func (n *Node) Close() {
	n.mu.Lock()
	again := n.closing
	n.closing = true
	conns := make([]*conn, 0, len(n.conns))
	for c := range n.conns {
		conns = append(conns, c)
	}
	n.mu.Unlock()
	if again {
		return
	}
	if n.listener != nil {
		n.listener.Close()
	}
	for _, c := range conns {
		c.kick(websocket.StatusGoingAway, "the node stops")
	}
	cut := time.AfterFunc(closeTime, n.cancel) // who does not answer the close is cut off
	n.serving.Wait()
	cut.Stop()
	n.cancel()
	n.wg.Wait()
	if n.state != nil {
		n.state.Close()
	}
	if n.backbone != nil {
		n.backbone.Close()
	}
	if n.unlock != nil {
		n.unlock()
	}
}

// openState opens the tables, brings what an earlier version wrote into today's form, and bounds what comes after.
func (n *Node) openState(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	l := n.opts.Limits
	n.state, err = state.Open(ctx, state.Options{Domain: n.opts.Domain, NATS: n.backbone, Replicas: n.opts.Replicas, Invites: n.opts.Admit.Invites(),
		Runtime: l.RuntimeState, Address: l.AddressState, All: l.State, Rows: l.Rows, Granted: n.granted, Noted: n.noted, Log: n.log})
	if err != nil {
		return err
	}
	if err := n.upgrade(ctx); err != nil {
		return err
	}
	n.state.Bound() // only now: what was there before there was a bound is not refused
	return nil
}

// overrun is called when NATS had to drop what came on a subject: whoever wanted it is told by a close, so that no loss goes
// unseen; the sessions then ask again for what they miss.
func (n *Node) overrun(subject string) {
	if n.interests == nil {
		return
	}
	n.log.Error("the node does not keep up, messages were dropped")
	for _, c := range n.interests.Of(subject) {
		c.kick(websocket.StatusTryAgainLater, "the node is overloaded and lost messages for you")
	}
}
