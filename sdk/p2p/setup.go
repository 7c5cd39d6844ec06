package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// Why a set-up or a connection ended.
var (
	errSetupTime = fmt.Errorf("no channel within %v", setupTime)
	errSetupOver = errors.New("the set-up is over")
	errGivenUp   = errors.New("given up by the registry")
	errReplaced  = errors.New("replaced by a newer connection")
	errWithdrawn = errors.New("the other side has withdrawn its Connection object")
)

// setup is one set-up: the two Connection objects, and the Signals between them and the transport.
type setup struct {
	peer   Peer
	stub   message.URL             // the other side's: the Handler's or the Requester's address
	ctx    context.Context         // the set-up's
	cancel context.CancelCauseFunc // ends it, with the reason
	stop   context.CancelFunc      // its timer
	work   sync.WaitGroup          // Connect and the reader of the observed object

	objects

	described chan struct{} // closed when the description is in this side's object
	inbox     chan Signal   // the other side's; has room for all of them
	connected chan Channel  // has room for the one

	connectErr error // what Connect returned; read when work is done

	heard  chan struct{} // Handler: closed when the offer has been verified
	ticket chan signed   // this side's proof for the channel; has room for the one

	mu   sync.Mutex
	sent int // signals
	size int // their bytes
	said transcript
}

// objects are the two Connection objects. They stay until the connection has ended; the rest of the set-up does not.
type objects struct {
	i      *instance
	remote message.URL
	parent context.Context // the connection's; lives on when the set-up is over
	mine   *syncher.Reporter
	theirs *syncher.Observer
}

// begin begins a set-up with a stub of the runtime remote. The caller must call end, and later forget.
func (i *instance) begin(parent context.Context, remote, stub message.URL, role Role) *setup {
	s := &setup{
		objects: objects{i: i, remote: remote, parent: parent}, peer: Peer{Local: i.start.Runtime, Remote: remote, Role: role}, stub: stub,
		heard: make(chan struct{}), ticket: make(chan signed, 1),
		described: make(chan struct{}), inbox: make(chan Signal, 1+MaxCandidates), connected: make(chan Channel, 1),
	}
	timed, stop := context.WithTimeoutCause(parent, setupTime, errSetupTime)
	s.stop = stop
	s.ctx, s.cancel = context.WithCancelCause(timed)
	return s
}

// report creates this side's Connection object.
func (s *setup) report(offer message.URL) (err error) {
	ctx, done := linger(s.ctx)
	defer done()
	s.mine, err = s.i.objects.Create(ctx, s.i.connectionObject(s.stub, offer))
	return err
}

// linger returns a context that ends a moment after ctx. A call that makes something in the runtime waits that long for the
// answer: without the answer the caller would not know what to delete.
func linger(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		late := time.NewTimer(tidyTime)
		defer late.Stop()
		select {
		case <-late.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}

// connect starts the transport; its channel comes from channel.
func (s *setup) connect() {
	s.work.Go(func() {
		channel, err := s.i.transport.Connect(s.ctx, s.peer, signals{s})
		if err == nil && channel == nil {
			err = errors.New("the transport returned no channel")
		}
		if err != nil {
			s.connectErr = err
			s.cancel(err)
			return
		}
		s.connected <- channel
	})
}

// offered waits until the transport's description is in this side's object.
func (s *setup) offered() error {
	select {
	case <-s.described:
		return nil
	case <-s.ctx.Done():
		select {
		case <-s.described: // it came first
			return nil
		default:
			return s.ctx.Err()
		}
	}
}

// channel waits for the transport's channel.
func (s *setup) channel() (Channel, error) {
	select {
	case c := <-s.connected:
		return c, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// observe subscribes to the other side's object and reads it from then on. It returns what the object says now.
func (s *setup) observe(url message.URL) (signalled, error) {
	ctx, done := linger(s.ctx)
	defer done()
	o, err := s.i.objects.Observe(ctx, url)
	if err != nil {
		return signalled{}, err
	}
	said, err := parseConnection(o.Value(), s.peer.Remote)
	if err == nil && s.peer.Role == Requester && said.Offer != "" && said.Offer.Canonical() != s.mine.URL().Canonical() {
		err = errOtherOffer
	}
	if err != nil {
		s.tidy("closing an observation", o.Close)
		return signalled{}, err
	}
	s.theirs = o
	s.work.Go(func() { s.read(o) })
	return said, nil
}

// errOtherOffer: an answer to an earlier offer than this set-up's.
var errOtherOffer = errors.New("the answer is to another offer")

// read hands the observed object's signals to the transport as they come, until the set-up is over. It reads the
// object's value after each change: in whatever form and order the changes come, no signal is missed or told twice.
func (s *setup) read(o *syncher.Observer) {
	described, candidates := false, 0
	for {
		said, err := parseConnection(o.Value(), s.peer.Remote)
		if err != nil {
			s.cancel(err)
			return
		}
		if !described && said.Description != nil {
			description, err := s.verify(o.URL(), said)
			if err != nil {
				s.cancel(err)
				return
			}
			s.inbox <- Signal{Kind: Description, Value: description}
			described = true
		}
		for described && candidates < min(len(said.Candidates), MaxCandidates) {
			if c := said.Candidates[candidates]; len(c) <= MaxCandidate {
				s.inbox <- Signal{Kind: Candidate, Value: c}
			} else {
				s.i.log.Warn("a candidate is too large: dropped", "remote", string(s.peer.Remote), "bytes", len(c))
			}
			candidates++
		}
		if err := changed(s.ctx, o); err != nil {
			if errors.Is(err, io.EOF) {
				s.cancel(errWithdrawn)
			}
			return
		}
	}
}

// changed waits until an object has changed, and takes all changes that are there: the object's value has them, and is
// read once. The error is io.EOF when the object is gone.
func changed(ctx context.Context, o *syncher.Observer) error {
	change, err := o.Next(ctx)
	more, cancel := context.WithCancel(ctx)
	cancel() // with it Next returns what is there, and waits for nothing
	for err == nil && !change.Deleted {
		change, err = o.Next(more)
	}
	if change.Deleted {
		return io.EOF
	}
	if errors.Is(err, context.Canceled) {
		return ctx.Err()
	}
	return err
}

// end ends the set-up: when it has returned neither the transport nor the objects are touched any more. A channel that
// nobody has taken is closed. err is how the set-up went; where that is only a consequence, end returns the reason.
func (s *setup) end(err error) error {
	cause := context.Cause(s.ctx) // nil: the set-up has not been ended yet
	s.cancel(errSetupOver)
	s.stop()
	s.work.Wait()
	select {
	case c := <-s.connected:
		_ = c.Close()
	default:
	}
	if err == nil || cause == nil || errors.Is(err, cause) {
		return err
	}
	transport := s.connectErr
	if transport == nil || errors.Is(cause, transport) || errors.Is(transport, cause) ||
		errors.Is(transport, context.Canceled) || errors.Is(transport, context.DeadlineExceeded) {
		return cause
	}
	return fmt.Errorf("%w: %w", cause, transport) // what the transport has tried
}

// forget deletes this side's object and ends the observation of the other's. It is called when the connection has
// ended, also when the instance has: then the runtime may be unable to answer, and is not waited for.
func (o *objects) forget() {
	if o.mine != nil {
		o.tidy("deleting a Connection object", o.mine.Delete)
	}
	if o.theirs != nil {
		o.tidy("closing an observation", o.theirs.Close)
	}
}

func (o *objects) tidy(what string, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.parent), tidyTime)
	defer cancel()
	if err := f(ctx); err != nil {
		o.i.log.Debug(what, "remote", string(o.remote), "error", err)
	}
}
