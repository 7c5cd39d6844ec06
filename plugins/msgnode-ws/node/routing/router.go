package routing

import (
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/backbone"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/conn"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/rights"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/state"
)

// Options are what a router works with.
type Options struct {
	Domain  string
	Node    string // the node's number in the domain
	Cluster bool   // there are other nodes: NATS is a cluster
	NATS    *backbone.NATS
	Seal    *backbone.Seal // of what nodes send each other; nil: there is no other node
	Conns   *conn.Set
	Places  Places
	Limits  limits.Limits
	Times   limits.Times
	Log     hclog.Logger
}

// Places are those of the attached connections.
type Places interface {
	// Enter gives a connection a place; false: there is none. kick is called when another address gets the place. replaces says
	// that the connection takes the place of one that is about to leave.
	Enter(t *quota.Ticket, replaces bool, kick func()) bool
}

// Router joins the connections of a node with NATS.
type Router struct {
	Roster *Roster

	o         Options
	subjects  backbone.Subjects
	interests *backbone.Interests[*Client]
	state     *state.State
	rights    *rights.Rights
	strange   atomic.Uint64 // messages at NATS that no node of the domain sent, or too late
}

// New makes a router. It needs Use before anybody is attached.
func New(o Options) (*Router, error) {
	r := &Router{Roster: newRoster(o.Times.Grace, o.Limits.Legacy), o: o, subjects: backbone.NewSubjects(o.Domain), interests: backbone.NewInterests[*Client](o.NATS.Messages)}
	_, err := o.NATS.Messages.ChanSubscribe(r.subjects.Unanswered(o.Node)+".>", r.interests.In)
	return r, err
}

// Use gives the router the state, which calls [Router.Granted] and [Router.Noted].
func (r *Router) Use(s *state.State, whose *rights.Rights) { r.state, r.rights = s, whose }

// Strange is how many messages came at NATS that no node of the domain sent, or too late.
func (r *Router) Strange() uint64 { return r.strange.Load() }

// Cluster tells whether there may be other nodes of the domain.
func (r *Router) Cluster() bool { return r.o.Cluster }

// flush waits, if there are other nodes, until NATS has what was published: those publish on connections of their own.
func (r *Router) flush() error {
	if !r.o.Cluster {
		return nil
	}
	return r.o.NATS.Messages.FlushTimeout(r.o.Times.State)
}

// Overrun is called when NATS had to drop what came on a subject. It closes the connections that wanted it, so that no loss
// goes unnoticed; the sessions then ask again for what they miss.
func (r *Router) Overrun(subject string) {
	r.o.Log.Error("the node does not keep up, messages were dropped")
	for _, c := range r.interests.Of(subject) {
		c.Kick(websocket.StatusTryAgainLater, "the node is overloaded and lost messages for you")
	}
}

// retry is the time after which a connection for which there was no place should try again.
const retry = 5 * time.Second
