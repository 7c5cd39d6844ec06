package api

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/internal/work"
	"github.com/protofly/protofly/sdk/hyperty"
)

// Options are a Server's settings. Backend and Socket are required.
type Options struct {
	Backend Backend
	Socket  string       // the path
	Version string       // of the runtime, for people
	Log     hclog.Logger // nil: none
	// Plugin tells whether a process is one of a plug-in, none of which may use the API; nil: none is.
	Plugin func(pid int) bool
}

// Limits of what applications can have the runtime keep.
const (
	maxStreams   = 16      // calls on one connection at one time
	maxHyperties = 256     // of one application
	maxControl   = 1024    // frames of the kind that answer something, waiting for an application that does not read
	maxOutgoing  = 4 << 20 // bytes of messages waiting for such an application
	traceBuffer  = 8192    // events waiting for a watcher that does not keep up
)

// How long the parts of an application's life may take.
const (
	helloTime  = 5 * time.Second  // from the connection to its Hello
	lingerTime = 5 * time.Second  // to read why it was ended
	hesitation = time.Millisecond // that it may not know what was worked off: it goes with something else
)

// closeTime is how long the end of a hyperty may take.
const closeTime = 10 * time.Second

// shared is what everything that serves applications has in common.
type shared struct {
	o      Options
	log    hclog.Logger
	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	grace  context.Context // of what Close has to wait for; ends with its ctx
	hurry  context.CancelFunc
	posts  work.Memory[posted]

	drain context.Context // ends when Drain begins
	begin context.CancelFunc

	mu    sync.Mutex
	ended map[string]chan struct{} // names whose registration is being ended; closed when it is
	apps  map[drainer]bool
}

func newShared(o Options) *shared {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	s := &shared{o: o, log: o.Log, ended: map[string]chan struct{}{}, apps: map[drainer]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.drain, s.begin = context.WithCancel(s.ctx)
	s.grace, s.hurry = context.WithCancel(context.Background())
	return s
}

// drainer is an application as Drain sees it.
type drainer interface{ drain(ctx context.Context) }

// draining tells whether Drain has begun.
func (s *shared) draining() bool { return s.drain.Err() != nil }

// note keeps the list of applications.
func (s *shared) note(app drainer, here bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if here {
		s.apps[app] = true
	} else {
		delete(s.apps, app)
	}
}

// attach registers at the backend. A name whose registration is being ended is waited for.
func (s *shared) attach(ctx context.Context, r hyperty.Registration, deliver minibus.TakingHandler) (Attachment, error) {
	if s.draining() {
		return nil, endingError()
	}
	for r.Name != "" {
		s.mu.Lock()
		ended := s.ended[r.Name]
		s.mu.Unlock()
		if ended == nil {
			break
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.o.Backend.Attach(ctx, r, deliver)
}

// closing ends a registration in a goroutine of wg.
func (s *shared) closing(inner Attachment, wg *sync.WaitGroup) { s.ending(inner, wg, inner.Close) }

// ending has end end a registration, in a goroutine of wg.
func (s *shared) ending(inner Attachment, wg *sync.WaitGroup, end func(ctx context.Context) error) {
	ended := make(chan struct{})
	name := string(inner.URL())
	name = name[strings.LastIndexByte(name, '/')+1:]
	s.mu.Lock()
	s.ended[name] = ended
	s.mu.Unlock()
	wg.Go(func() {
		ctx, cancel := context.WithTimeout(s.grace, closeTime)
		defer cancel()
		if err := end(ctx); err != nil {
			s.log.Warn("hyperty not unregistered", "url", inner.URL(), "error", err)
		}
		s.mu.Lock()
		if s.ended[name] == ended {
			delete(s.ended, name)
		}
		s.mu.Unlock()
		close(ended)
	})
}
