package directory

import (
	"sync/atomic"
	"time"

	"github.com/protofly/protofly/core/admission"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/sdk/message"
)

// Runtime is what messages look up of a remote runtime. It is small, so that many fit into the processor's caches.
type Runtime struct {
	way   atomic.Pointer[Way] // never nil
	url   message.URL         // canonical
	asked atomic.Bool         // see Ask
	*dealings
}

// dealings are the fields that only the writer uses.
type dealings struct {
	addresses int               // that live there
	joined    int               // of these, in the entry of the connection that is its way
	claims    admission.Account // bytes of its addresses that are only claimed
}

// Way says how messages get to a remote runtime at present. It is replaced, never changed.
type Way struct {
	Number  uint64         // of the P2P connection's entry; 0: none
	State   message.Status // of the connection; 0: none
	Direct  bus.Route      // the zero Route where there is no live connection
	Wake    bool           // a message that wants a P2P connection may start a set-up
	RetryAt time.Time      // but not before this time
}

// Live tells whether there is a live P2P connection.
func (w *Way) Live() bool { return w.Direct.Door != "" }

// URL is the runtime's address.
func (rt *Runtime) URL() message.URL { return rt.url }

// Way returns the present way to the runtime; never nil.
func (rt *Runtime) Way() *Way { return rt.way.Load() }

// Ask notes that the loop is asked to consider a set-up for this runtime; false: it was asked already, see [Runtime.Asked].
func (rt *Runtime) Ask() bool { return rt.asked.CompareAndSwap(false, true) }

// Asked notes that the loop has considered what it was asked.
func (rt *Runtime) Asked() { rt.asked.Store(false) }

// Addresses is the number of addresses known to live there. The writer calls it.
func (rt *Runtime) Addresses() int { return rt.addresses }

// Joined is the number of addresses in the entry of the present connection. The writer calls it.
func (rt *Runtime) Joined() int { return rt.joined }

// SetWay replaces the way. It tells whether the way over a live connection has changed. The writer calls it.
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
