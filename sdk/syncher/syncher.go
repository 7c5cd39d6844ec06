package syncher

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk/message"
)

const (
	maxInvitations = 64      // handled at the same time
	maxChildren    = 1 << 10 // changes of child objects, of all observers, that wait for their turn or are being made
	maxOwnChildren = 32      // changes of child objects of one observed object that are under way
	maxInvited     = 4096    // observers of one object
	maxObserved    = 1 << 14 // objects that one component observes: what a runtime allows it
	maxChanges     = 256     // that wait for Next, or for the answer to a subscribe
	maxChangeBytes = 1 << 20 // the same, of their values
	maxRefusals    = 5       // answers 404 to a subscribe that renews one, before the object counts as gone: its reporter may still be coming back
)

// ErrClosed is returned by everything that is called after [Syncher.Close].
var ErrClosed = errors.New("the syncher is closed")

// Options is what a syncher is made from. Bus, Owner and Runtime are needed.
type Options struct {
	Bus     message.Bus  // of the component
	Owner   message.URL  // the component: a hyperty or a stub; it reports and observes
	Runtime message.URL  // the runtime that it runs in
	Log     hclog.Logger // nil: nothing is logged
	// Invited is OnInvite's function from the beginning: an invitation may come as soon as the syncher listens.
	Invited func(ctx context.Context, inv Invitation)
}

// Syncher holds the data objects that one component reports and observes.
type Syncher struct {
	bus   message.Bus
	owner message.URL
	sm    message.URL // the runtime's sync manager
	run   message.URL
	log   hclog.Logger

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup // every goroutine of the syncher
	unhear func()

	mu          sync.Mutex
	closed      bool
	reporters   map[message.URL]*Reporter
	observers   map[message.URL]*Observer
	onInvite    func(context.Context, Invitation)
	leaving     map[message.URL]chan struct{} // objects that the sync manager is being told to end; closed when it is told
	invitations int
	children    int // changes of child objects that are under way
}

// spawn runs f in a goroutine that Close waits for; false: the syncher is closed.
func (s *Syncher) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.tasks.Go(f)
	return true
}

// ask asks the sync manager for something and reads its answer. The error is a *message.ResponseError where it refused.
func (s *Syncher) ask(ctx context.Context, t message.Type, body any) (answer, error) {
	if err := ctx.Err(); err != nil { // a bus may send all the same
		return answer{}, err
	}
	r, err := s.bus.Request(ctx, message.Message{Type: t, From: s.owner, To: s.sm, Body: message.Encode(body)})
	if err != nil {
		return answer{}, err
	}
	if r.From == "" { // a time-out answer that the bus made
		r.From = s.sm
	}
	value, err := r.OK()
	if err != nil {
		return answer{}, err
	}
	var a answer
	if err := r.Decode(&a); err != nil {
		return answer{}, err
	}
	a.Value = value
	return a, nil
}

// answer is what the sync manager said.
type answer struct {
	Resource  message.URL     `json:"resource"`
	Observers message.URLs    `json:"observers"`
	Reclaimed bool            `json:"reclaimed"`
	Value     json.RawMessage `json:"-"`
}

// codeOf is the response's code in err, or 0.
func codeOf(err error) int {
	if refusal := (*message.ResponseError)(nil); errors.As(err, &refusal) {
		return refusal.Code
	}
	return 0
}

func (s *Syncher) respond(ctx context.Context, m message.Message) {
	if err := s.bus.Post(ctx, m); err != nil {
		s.log.Debug("cannot answer", "to", m.To, "error", err)
	}
}
