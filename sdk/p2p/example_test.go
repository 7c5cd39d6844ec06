package p2p_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

// lan is a transport of plain TCP connections on one machine. What it lacks: TLS with a certificate that the description names, other
// addresses, and bounds for strangers; examples/transport-tcp has them.
type lan struct {
	mu       sync.Mutex
	channels []p2p.Channel
}

func newLAN(p2p.Config) (p2p.Transport, error) { return &lan{}, nil }

// place is this transport's description: where the Handler listens.
type place struct {
	Address string `json:"address"`
}

// Connect has the Handler listen and say where, and the Requester dial.
func (t *lan) Connect(ctx context.Context, peer p2p.Peer, signals p2p.Signals) (p2p.Channel, error) {
	connect := t.answer
	if peer.Role == p2p.Requester {
		connect = t.request
	}
	conn, err := connect(ctx, signals)
	if err != nil {
		return nil, fmt.Errorf("lan: %w", err)
	}
	channel := p2p.NewStreamChannel(conn.(*net.TCPConn), p2p.StreamOptions{Name: "lan", Silence: 12 * time.Second})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.channels = append(t.channels, channel)
	return channel, nil
}

func (t *lan) request(ctx context.Context, signals p2p.Signals) (net.Conn, error) {
	if err := signals.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: message.Encode(place{})}); err != nil {
		return nil, err
	}
	answer, err := signals.Recv(ctx)
	if err != nil {
		return nil, err
	}
	var there place
	if err := json.Unmarshal(answer.Value, &there); err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "tcp", there.Address)
}

func (t *lan) answer(ctx context.Context, signals p2p.Signals) (net.Conn, error) {
	if _, err := signals.Recv(ctx); err != nil { // the offer, which says nothing
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	defer context.AfterFunc(ctx, func() { _ = listener.Close() })()
	here := place{listener.Addr().String()}
	if err := signals.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: message.Encode(here)}); err != nil {
		return nil, err
	}
	return listener.Accept()
}

// Close ends every channel.
func (t *lan) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, c := range t.channels {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// A transport in use: two runtimes have it as their plug-in, whose main is
//
//	sdk.Serve(sdk.Descriptor{Name: "lan", Version: "1.0.0", Kind: sdk.KindP2P}, p2p.Stub(newLAN))
//
// Messages go over the Message Node at first, and over the transport as soon as it has connected.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	alice, end := register(ctx, "alice")
	defer end()
	bob, end := register(ctx, "bob")
	defer end()
	bob.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, "hello "+string(m.From)) })

	for direct := false; !direct; {
		answer, err := alice.Request(ctx, bob.URL(), message.Read, nil)
		if err != nil {
			log.Fatal(err)
		}
		path, err := runtimes.Bed().Command(ctx, "path", "--json", "--socket", runtimes.Socket("alice"), string(bob.URL()))
		if err != nil {
			log.Fatal(err)
		}
		if direct = strings.Contains(path, `"direct"`); direct {
			fmt.Println(string(answer.Value), "over a direct connection")
		}
	}
	// Output: "hello hyperty://example.com/alice" over a direct connection
}

// register registers a hyperty at the runtime of the same name.
func register(ctx context.Context, name string) (h *hyperty.Hyperty, end func()) {
	client, err := hyperty.Dial(ctx, hyperty.Options{Socket: runtimes.Socket(name), Timeout: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	if h, err = client.Register(ctx, hyperty.Registration{Name: name}); err != nil {
		log.Fatal(err)
	}
	return h, func() { _ = client.Close(ctx) }
}
