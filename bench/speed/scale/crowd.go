package scale

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// crowdOptions are the options of a crowd; all are required.
type crowdOptions struct {
	Dir     string `json:"dir"`     // of its own
	Plugins string `json:"plugins"` // the folder where the plug-ins are installed
	Domain  string `json:"domain"`
	Node    string `json:"node"` // the URL of that domain's Message Node
}

// member is one of a crowd: what its stubs post and receive goes to it.
type member interface {
	message(ctx context.Context, stub message.URL, m message.Message)
	frames(ctx context.Context, stub, door message.URL, frames []sdk.Frame)
	// begin deploys the member's stub of the Message Node.
	begin(ctx context.Context) error
	// joined is closed when that stub is connected.
	joined() <-chan struct{}
	close(ctx context.Context)
}

// crowd is many members with one process for each plug-in.
type crowd struct {
	crowdOptions
	installed *catalogue.Catalogue
	host      *stubhost.Host

	mu      sync.RWMutex
	members map[message.URL]member // by runtime URL
	guests  []*guest
	peers   []*peer

	object    message.URL // the object that the guests observe
	published uint64      // the number of its changes
	came      counted
}

const (
	memberTime  = time.Minute     // for one command of one member
	sayAgain    = 5 * time.Second // between two messages that a peer sends until it is connected
	atATime     = 32              // members that work at the same time; a Handler takes 256 set-ups at a time
	crowdEnd    = 30 * time.Second
	publishTime = 2 * time.Minute // for all publications
)

func newCrowd(o crowdOptions) (c *crowd, err error) {
	c = &crowd{crowdOptions: o, members: map[message.URL]member{}, came: counted{all: make(chan struct{}, 1)}}
	if c.installed, err = catalogue.Open(o.Plugins); err != nil {
		return nil, err
	}
	c.host, err = stubhost.New(stubhost.Options{Dir: filepath.Join(o.Dir, "crowd"), Message: c.message, Frames: c.frames})
	return c, err
}

// deploy starts an instance of a member's stub.
func (c *crowd) deploy(ctx context.Context, plugin string, in stubhost.Instance) error {
	found, err := c.installed.Find(plugin)
	if err != nil {
		return err
	}
	return c.host.Deploy(ctx, stubhost.Plugin{Name: found.Name, Path: found.Path, SHA256: found.SHA256}, in)
}

// deployNode starts a member's stub of the Message Node.
func (c *crowd) deployNode(ctx context.Context, runtime message.URL) error {
	return c.deploy(ctx, core.DefaultNodeStub, stubhost.Instance{
		URL: nodeStub(runtime, c.Domain), Runtime: runtime, Role: sdk.RoleNode, Domain: c.Domain,
		Config: message.Encode(map[string]string{"url": c.Node}),
	})
}

func nodeStub(runtime message.URL, domain string) message.URL {
	return runtime.Join("protostub", domain)
}

func (c *crowd) message(ctx context.Context, stub message.URL, m message.Message) error {
	if of := c.member(stub); of != nil {
		of.message(ctx, stub, m)
	}
	return nil
}

func (c *crowd) frames(ctx context.Context, stub, door message.URL, frames []sdk.Frame) bool {
	if of := c.member(stub); of != nil {
		of.frames(ctx, stub, door, frames)
	}
	return true
}

func (c *crowd) member(stub message.URL) member {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.members[stub.Runtime()]
}

// newIdentity makes a key and its runtime URL.
func (c *crowd) newIdentity() (*identity.Identity, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	return identity.New(key, c.Domain)
}

// enter adds a member, which connects to the Message Node.
func (c *crowd) enter(ctx context.Context, of message.URL, m member) error {
	c.mu.Lock()
	c.members[of.Canonical()] = m
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, memberTime)
	defer cancel()
	if err := m.begin(ctx); err != nil {
		return err
	}
	return within(ctx, m.joined(), "%s is not connected to its Message Node", of)
}

// within waits for done.
func within(ctx context.Context, done <-chan struct{}, late string, args ...any) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf(late+": %w", append(args, ctx.Err())...)
	}
}

// each calls f for 0 to n-1, some at a time, and returns the first error.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	room := make(chan struct{}, atATime)
	var wg sync.WaitGroup
	for i := range n {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-room }()
			bounded, done := context.WithTimeout(ctx, memberTime)
			defer done()
			if err := f(bounded, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// pids are the processes of the plug-ins.
func (c *crowd) pids() (list []int) {
	for _, p := range c.host.Plugins() {
		if p.PID != 0 {
			list = append(list, p.PID)
		}
	}
	return list
}

// close ends the members, then the plug-ins.
func (c *crowd) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), crowdEnd)
	defer cancel()
	c.mu.RLock()
	all := make([]member, 0, len(c.members))
	for _, m := range c.members {
		all = append(all, m)
	}
	c.mu.RUnlock()
	_ = each(ctx, len(all), func(ctx context.Context, i int) error { all[i].close(ctx); return nil })
	return c.host.Close(ctx)
}

// live tells whether m is the event that the stub is connected.
func live(stub message.URL, m *message.Message) bool {
	if m.Type != message.Update || m.To != stub.Join("status") {
		return false
	}
	var body struct {
		Value message.Status `json:"value"`
	}
	return m.Decode(&body) == nil && body.Value == message.Live
}

// parse reads the options of a crowd.
func parse(text string) (o crowdOptions, err error) {
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return o, fmt.Errorf("a crowd's options: %w", err)
	}
	if o.Dir == "" || o.Plugins == "" || o.Domain == "" || o.Node == "" {
		return o, errors.New("a crowd's options: dir, plugins, domain and node are required")
	}
	return o, nil
}
