package syncmanager

import (
	"context"
	"errors"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Objects is what the sync manager needs of the Registry. [registry.Registry] implements it.
type Objects interface {
	// RegisterObject gives the object its address and enters it in the tables and, unless it is private, in the Domain
	// Registry. The wished address of an object that its reporter had before is granted again. A refusal is a
	// *message.ResponseError.
	RegisterObject(ctx context.Context, o registry.Object) (message.URL, error)
	// UnregisterObject removes the object from the tables and the Domain Registry.
	UnregisterObject(ctx context.Context, url message.URL) error
}

// Bus is what the sync manager needs of the MessageBus.
type Bus interface {
	message.Bus
	// Forward has every message for the address at also sent to the runtime remote.
	Forward(at, remote message.URL) (stop func())
}

// Limits bound what components and other runtimes can make the sync manager keep. A zero field is its default.
type Limits struct {
	Objects      int // reported and observed, in all; 65,536
	PerComponent int // reported by one component, and observed by one; 16,384
	Observers    int // of one object: components of this runtime, and the same of each remote runtime; 1,024
	Remotes      int // runtimes that observe one object; 4,096
	Bytes        int // data of all objects; 256 MiB
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Objects, 1 << 16}, {&l.PerComponent, 1 << 14}, {&l.Observers, 1 << 10}, {&l.Remotes, 1 << 12}, {&l.Bytes, 256 << 20}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return l
}

// Options is what a sync manager is made from. Runtime, Domain, Bus and Objects are needed.
type Options struct {
	Runtime message.URL
	Domain  string
	Bus     Bus
	Objects Objects
	// Local tells whether a component of this runtime has the address. Others are refused at <runtime>/sm. Without
	// it only components of other runtimes that show as such by their address are refused.
	Local func(component message.URL) bool
	// Remote is the remote runtime that a component is known to be of, "" where it is not known. Without it what each
	// component of remote runtimes causes is counted apart.
	Remote func(component message.URL) message.URL
	// Verify refuses where the component is not one of the runtime remote: nobody subscribes for another runtime's. It may
	// wait. Without it only components that show by their address whose they are are refused.
	Verify func(ctx context.Context, remote, component message.URL) error
	Log    hclog.Logger
	Limits Limits
}

// Manager is a runtime's sync manager. It is made by [New] and must be closed.
type Manager struct {
	o      Options
	bus    Bus
	self   message.URL // <runtime>/sm
	log    hclog.Logger
	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup // every goroutine of the sync manager
	unhear func()

	renewals chan struct{} // one for each renewal that asks

	mu       sync.Mutex
	closed   bool
	work     *work
	reported map[message.URL]*reported
	observed map[message.URL]*observed
	creating map[message.URL]struct{}      // wished addresses that are being registered
	leaving  map[message.URL]chan struct{} // deleted objects that are being unregistered; closed when that is done
	owned    map[message.URL]int           // objects by their reporter
	follows  map[message.URL]int           // objects by their observer
	watching map[message.URL]int           // bytes of what is kept of observers, by remote runtime
	bytes    int                           // data of all objects
}

// request is the body of everything that is asked at <runtime>/sm and at U/subscription.
type request struct {
	Resume     bool            `json:"resume"`
	Resource   message.URL     `json:"resource"`
	Schema     message.URL     `json:"schema"`
	Scheme     string          `json:"scheme"`
	Private    bool            `json:"private"`
	Value      object.Metadata `json:"value"`
	Authorise  message.URLs    `json:"authorise"`
	Subscriber message.URL     `json:"subscriber"`
}

// local tells whether a component of this runtime has the address.
func (m *Manager) local(component message.URL) bool {
	if r := component.Runtime(); r != "" && r != m.o.Runtime.Canonical() {
		return false
	}
	return m.o.Local == nil || component.Within(m.o.Runtime) || m.o.Local(component)
}

// answer posts a response, in a task of its own: the one who asked may be slow to take it. m.mu is not held.
func (m *Manager) answer(response message.Message) {
	m.task(response.To, func(ctx context.Context) { m.post(ctx, response) })
}

// reply is answer with m.mu held.
func (m *Manager) reply(response message.Message) {
	m.begin(response.To, func(ctx context.Context) { m.post(ctx, response) })
}

func (m *Manager) post(ctx context.Context, msg message.Message) {
	if err := m.bus.Post(ctx, msg); err != nil && ctx.Err() == nil {
		m.log.Debug("cannot post", "type", msg.Type, "to", msg.To, "error", err)
	}
}

// refuse answers with the code in err.
func (m *Manager) refuse(msg message.Message, err error) { m.answer(refusal(msg, err)) }

func refusal(msg message.Message, err error) message.Message {
	code, text := codeOf(err), err.Error()
	if known := (*message.ResponseError)(nil); errors.As(err, &known) && known.Description != "" {
		text = known.Description
	}
	return msg.Refuse(code, "%s", text)
}

// codeOf is the response code that err stands for.
func codeOf(err error) int {
	known := (*message.ResponseError)(nil)
	switch {
	case errors.As(err, &known):
		return known.Code
	case errors.Is(err, object.ErrTooLarge), errors.Is(err, message.ErrTooLarge):
		return message.CodeTooLarge
	case errors.Is(err, object.ErrData), errors.Is(err, object.ErrPath), errors.Is(err, object.ErrMetadata), errors.Is(err, message.ErrMalformed):
		return message.CodeBadRequest
	}
	return message.CodeError
}

func refuse(code int, text string) error {
	return &message.ResponseError{Code: code, Description: text}
}

// ask posts a request and returns its final response, or the refusal as an error.
func (m *Manager) ask(ctx context.Context, msg message.Message) (message.Message, error) {
	r, err := m.bus.Request(ctx, msg)
	if err != nil {
		return r, err
	}
	if r.From == "" { // a time-out answer that the bus made
		r.From = msg.To
	}
	_, err = r.OK()
	return r, err
}
