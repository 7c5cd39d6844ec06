package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/protofly/protofly/internal/cheat"
	"github.com/protofly/protofly/plugins/quic/transport"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

// stub is the honest stub with an attacker beside it. One process serves any number of instances.
type stub struct {
	mu     sync.Mutex
	cheat  *cheat.Cheat
	honest sdk.Stub
	users  int
}

// Run implements sdk.Stub.
func (s *stub) Run(ctx context.Context, bus message.Bus, start sdk.Start) error {
	o, rest, err := parseOptions(start.Config)
	if err != nil {
		return err
	}
	start.Config = rest
	c, honest, err := s.acquire(o)
	if err != nil {
		return err
	}
	defer s.release()
	ctx, cancel := context.WithCancel(ctx)
	var forger sync.WaitGroup
	forger.Go(func() { forge(ctx, c, bus, start) })
	err = honest.Run(ctx, tapped{bus, c}, start)
	cancel()
	forger.Wait()
	return err
}

// parseOptions separates the attacker's options from the plug-in's configuration.
func parseOptions(config json.RawMessage) (o cheat.Options, rest json.RawMessage, err error) {
	members := map[string]json.RawMessage{}
	if len(config) > 0 {
		if err := json.Unmarshal(config, &members); err != nil {
			return o, nil, fmt.Errorf("hostile-quic: configuration: %w", err)
		}
	}
	if err := json.Unmarshal(members["hostile"], &o); err != nil {
		return o, nil, fmt.Errorf("hostile-quic: the configuration wants a member hostile: %w", err)
	}
	delete(members, "hostile")
	return o, message.Encode(members), nil
}

func (s *stub) acquire(o cheat.Options) (*cheat.Cheat, sdk.Stub, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		c, err := cheat.New(o)
		if err != nil {
			return nil, nil, err
		}
		s.cheat = c
		s.honest = p2p.Stub(func(config p2p.Config) (p2p.Transport, error) {
			t, err := transport.New(config)
			if err != nil {
				return nil, err
			}
			return hostile{t, c}, nil
		})
	}
	s.users++
	return s.cheat, s.honest, nil
}

func (s *stub) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		_ = s.cheat.Close() // where it fails the test misses what was not written
	}
}

// forge posts messages that an honest stub never posts, until ctx ends.
func forge(ctx context.Context, c *cheat.Cheat, bus message.Bus, start sdk.Start) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if c.IntN(2) == 0 {
			continue
		}
		m := c.Forgery()
		switch c.IntN(5) {
		case 0: // from one application to another
		case 1: // the runtime's own components
			m.From = start.Runtime.Join("sm")
		case 2:
			m.From, m.To = start.Runtime.Join("registry"), start.URL
		case 3: // a back end
			m.From = message.DomainRegistryAddress(start.Runtime.NodeDomain())
		case 4:
			steal(ctx, c, bus, start)
			continue
		}
		c.Count("forge from")
		_ = bus.Post(ctx, m) // the runtime refuses it
	}
}

// steal asks the runtime for the signature with which this plug-in could connect to a Message Node as the runtime.
func steal(ctx context.Context, c *cheat.Cheat, bus message.Bus, start sdk.Start) {
	c.Count("steal a signature")
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	challenge := base64.StdEncoding.EncodeToString(c.Bytes(32))
	answer, err := bus.Request(ctx, message.Message{Type: message.Execute, From: start.URL, To: start.Runtime.Join("identity"),
		Body: message.Encode(map[string]any{"method": "sign", "params": []string{"message-node", start.Runtime.NodeDomain(), challenge}})})
	if err != nil {
		return
	}
	if value, err := answer.OK(); err == nil && len(value) > 0 {
		c.Breach("a signature for the Message Node")
	}
}
