package p2p

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/syncher"
)

// The times and numbers that hold for every transport.
const (
	setupTime   = 15 * time.Second // a whole set-up
	consentTime = 2 * time.Second  // the registry's answer to created
	doorTime    = 10 * time.Second // the registry's subscribe after live
	proofTime   = 5 * time.Second  // the other side's proof in the channel
	tidyTime    = time.Second      // deleting the Connection objects
	keepTime    = 5 * time.Second  // for the other side to close a connection that was kept until a new one was live
	maxSignals  = 128 << 10        // bytes of a side's description and candidates
	maxSetups   = 256              // at once, of a Handler
	maxPeers    = 4096             // of a Handler, those in set-up among them
)

// maxConnection bounds what is read as a Connection object, in bytes: the signals, and whatever else is in it.
const maxConnection = maxSignals + 16<<10

// Stub is the Requester and the Handler over the transport that newTransport makes. The transport is made when the
// first instance starts, from that instance's configuration, and closed when the last one ends.
func Stub(newTransport New) sdk.Stub { return &stub{newTransport: newTransport} }

type stub struct {
	newTransport New

	mu        sync.Mutex // held while the transport is made or closed: the next one may need its port
	transport Transport
	options   json.RawMessage // that it was made from
	users     int
}

// Run implements sdk.Stub. It dispatches on the role.
func (s *stub) Run(ctx context.Context, bus message.Bus, start sdk.Start) error {
	if start.Log == nil {
		start.Log = hclog.NewNullLogger()
	}
	run := runRequester
	switch start.Role {
	case sdk.RoleRequester:
		if start.Remote.Runtime() == "" || start.Handler.Runtime() != start.Remote.Runtime() {
			return fmt.Errorf("p2p requester %s: its remote runtime is %q and that one's handler %q: want two addresses of one runtime",
				start.URL, start.Remote, start.Handler)
		}
	case sdk.RoleHandler:
		run = runHandler
	default:
		return fmt.Errorf("p2p stub %s: it has no role %q", start.URL, start.Role)
	}
	transport, err := s.acquire(start)
	if err != nil {
		return fmt.Errorf("p2p stub %s: making the transport: %w", start.URL, err)
	}
	defer s.release(start.Log)
	i := &instance{start: start, bus: bus, transport: transport, log: start.Log, ready: make(chan struct{})}
	i.objects = syncher.New(syncher.Options{Bus: bus, Owner: start.URL, Runtime: start.Runtime, Log: start.Log, Invited: i.invite})
	defer i.objects.Close()
	return run(ctx, i)
}

func (s *stub) acquire(start sdk.Start) (Transport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		t, err := s.newTransport(Config{Options: start.Config, Log: start.Log})
		if err != nil {
			return nil, err
		}
		s.transport, s.options = t, start.Config
	} else if !bytes.Equal(s.options, start.Config) {
		start.Log.Warn("the transport runs with the configuration of an earlier instance; this one's is not used")
	}
	s.users++
	return s.transport, nil
}

func (s *stub) release(log hclog.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	if err := s.transport.Close(); err != nil {
		log.Warn("closing the transport", "error", err)
	}
	s.transport = nil
}

// instance is what a Requester and a Handler have in common.
type instance struct {
	start     sdk.Start
	bus       message.Bus
	transport Transport
	objects   *syncher.Syncher
	log       hclog.Logger

	ready chan struct{} // closed when taker is set
	taker func(context.Context, syncher.Invitation)
}

// onInvite makes the instance call f for every invitation, also those that have come by now.
func (i *instance) onInvite(f func(context.Context, syncher.Invitation)) {
	i.taker = f
	close(i.ready)
}

// invite waits until the handler is ready to take invitations: one may come as soon as anything listens.
func (i *instance) invite(ctx context.Context, inv syncher.Invitation) {
	select {
	case <-i.ready:
		i.taker(ctx, inv)
	case <-ctx.Done():
	}
}
