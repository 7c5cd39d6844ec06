package directory

import (
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/quota"
	"github.com/protofly/protofly/sdk/message"
)

// Runtime is a remote runtime: what messages to it look at. It is small, so that it is near for many of them.
type Runtime struct {
	way   atomic.Pointer[Way] // never nil
	url   message.URL         // canonical
	asked atomic.Bool         // see Ask
	*dealings
}

// dealings are the writer's own.
type dealings struct {
	addresses int           // that live there
	joined    int           // of these, in the entry of the connection that is its way
	claims    quota.Account // bytes of those that nobody else knows of
}

// Way is how messages get to a remote runtime now. It is replaced, never changed.
type Way struct {
	Number  uint64         // of the P2P connection's entry; 0: none
	State   message.Status // of the connection; 0: none
	Direct  bus.Route      // the zero Route where there is no live connection
	Wake    bool           // a message that wants a P2P connection has a set-up considered
	RetryAt time.Time      // but not before
}

// Live tells whether there is a live P2P connection.
func (w *Way) Live() bool { return w.Direct.Door != "" }

// URL is the runtime's address.
func (rt *Runtime) URL() message.URL { return rt.url }

// Way is the way to it now; never nil.
func (rt *Runtime) Way() *Way { return rt.way.Load() }

// Ask notes that something is to be considered for this runtime; false: it is on its way already, see [Runtime.Asked].
func (rt *Runtime) Ask() bool { return rt.asked.CompareAndSwap(false, true) }

// Asked notes that what Ask has begun has come.
func (rt *Runtime) Asked() { rt.asked.Store(false) }

// Addresses is how many are known to live there, Joined how many of these have used the present connection. The writer calls
// them.
func (rt *Runtime) Addresses() int { return rt.addresses }

// Joined is how many addresses are in the entry of the present connection.
func (rt *Runtime) Joined() int { return rt.joined }

// SetWay replaces the way. It tells whether that to a live connection has changed. The writer calls it.
func (rt *Runtime) SetWay(w *Way) (changed bool) {
	before := rt.way.Swap(w)
	if before.Number != w.Number {
		rt.joined = 0
	}
	return before.Direct != w.Direct
}

// Handler is a P2P Handler of a runtime: the plug-in's name and where it listens.
type Handler struct {
	Name string      `json:"name"`
	URL  message.URL `json:"handler"`
}
