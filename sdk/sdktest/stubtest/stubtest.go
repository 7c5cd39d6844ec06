package stubtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/protofly/protofly/internal/link"
	"github.com/protofly/protofly/internal/link/linkpb"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

// Options are how a stub is run. The zero value works.
type Options struct {
	// Start is what the stub is given; Doors and Log are set here. Default: a Message Node's stub of example.com.
	Start sdk.Start
	// Answer stands for the core: it answers a request of the stub, or tells that it does not. nil answers 200 to
	// everything. It is not asked about responses and status events that expect no answer.
	Answer   func(m message.Message) (answer message.Message, ok bool)
	Log      hclog.Logger  // nil: no log
	Patience time.Duration // for everything that is waited for; 0: 30 s
}

func (o *Options) defaults() {
	s := &o.Start
	if s.Runtime == "" {
		s.Runtime = "hyperty-runtime://example.com/under-test"
	}
	if s.URL == "" {
		s.URL = s.Runtime.Join("protostub", "1")
	}
	if s.Role == "" {
		s.Role, s.Domain = sdk.RoleNode, "example.com"
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Patience <= 0 {
		o.Patience = 30 * time.Second
	}
	if o.Answer == nil {
		o.Answer = func(m message.Message) (message.Message, bool) { return m.Respond(message.CodeOK, nil), true }
	}
}

// Link is a stub that runs, seen from the core's side. Its methods fail the test; they are called from the test's
// goroutine.
type Link struct {
	URL message.URL // the stub's

	t    testing.TB
	o    Options
	host *host
	run  *running
}

// Run starts an instance of the stub.
func Run(t testing.TB, stub sdk.Stub, o Options) *Link {
	t.Helper()
	o.defaults()
	h := startHost(t, stub, o)
	t.Cleanup(h.close)
	return h.start(t, o)
}

// Also starts one more instance in the same process, as a host does.
func (l *Link) Also(o Options) *Link {
	l.t.Helper()
	o.defaults()
	return l.host.start(l.t, o)
}

// host is the core's end of one link.
type host struct {
	t      testing.TB
	stop   context.CancelFunc // ends the stub
	ended  chan error         // how the stub's side of the link has ended
	client *grpc.ClientConn
	conn   *link.Conn
	cancel context.CancelFunc
	dir    string
	o      Options

	mu   sync.Mutex
	runs map[uint32]*running
	last uint32
}

func startHost(t testing.TB, stub sdk.Stub, o Options) *host {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal("stubtest:", err)
		}
	}
	dir, err := os.MkdirTemp("", "stubtest") // t.TempDir's name may be too long for a socket
	check(err)
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	check(err)
	h := &host{t: t, dir: dir, o: o, runs: map[uint32]*running{}, ended: make(chan error, 1)}
	serving, stop := context.WithCancel(context.Background())
	h.stop = stop
	go func() {
		h.ended <- sdk.ServeLink(serving, listener, sdk.Descriptor{Name: "under-test", Version: "0"}, stub,
			sdk.LinkOptions{Log: o.Log, Grace: o.Patience})
	}()
	h.client, err = grpc.NewClient("unix:"+filepath.Join(dir, "s"),
		append(link.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	check(err)
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	stream, err := link.Open(ctx, h.client)
	check(err)
	h.conn = link.New(stream, h)
	h.conn.Start()
	return h
}

func (h *host) close() {
	h.stop()
	if err := <-h.ended; err != nil {
		h.t.Error("stubtest: the stub does not end when its ctx does:", err)
	}
	h.cancel()
	_ = h.client.Close()
	h.conn.Wait()
	h.mu.Lock()
	runs := h.runs
	h.mu.Unlock()
	for _, r := range runs {
		r.end("")
		r.wg.Wait()
		r.requests.Close()
	}
	_ = os.RemoveAll(h.dir)
}

func (h *host) start(t testing.TB, o Options) *Link {
	t.Helper()
	h.mu.Lock()
	h.last++
	r := newRunning(h, o, h.last)
	h.runs[h.last] = r
	h.mu.Unlock()
	s := o.Start
	h.conn.Control(&linkpb.Frame{Instance: r.number, Kind: &linkpb.Frame_Start{Start: &linkpb.Start{
		Url: string(s.URL), Runtime: string(s.Runtime), Role: string(s.Role), Domain: s.Domain, Remote: string(s.Remote),
		Handler: string(s.Handler), Config: s.Config, Restarted: s.Restarted}}})
	l := &Link{URL: s.URL, t: t, o: o, host: h, run: r}
	l.wait("the stub to start", func() bool { return r.started })
	return l
}

// Control is the link's control frames; see link.Handler.
func (h *host) Control(f *linkpb.Frame) error {
	h.mu.Lock()
	r := h.runs[f.Instance]
	h.mu.Unlock()
	if r == nil {
		return nil
	}
	switch k := f.Kind.(type) {
	case *linkpb.Frame_Started:
		r.change(func() { r.started = true })
	case *linkpb.Frame_Ended:
		r.end(k.Ended.Error)
	case *linkpb.Frame_OpenDoor:
		return r.open(k.OpenDoor)
	case *linkpb.Frame_CloseDoor:
		r.closeDoor(k.CloseDoor.Door)
	}
	return nil
}

// running is one instance, seen from the core's side.
type running struct {
	host     *host
	o        Options
	number   uint32
	lane     *link.Lane
	requests *minibus.Requests
	wg       sync.WaitGroup

	mu       sync.Mutex
	changed  chan struct{}
	started  bool
	ended    bool
	err      string
	messages []message.Message // not yet taken by the test
	seen     []message.Message // every one
	doors    map[message.URL]*openDoor
	numbers  map[uint32]*openDoor
}

// openDoor is a door, with what came out of it.
type openDoor struct {
	url    message.URL
	lane   *link.Lane
	frames []sdk.Frame
	closed bool
}

func newRunning(h *host, o Options, number uint32) *running {
	r := &running{host: h, o: o, number: number, lane: h.conn.Lane(number, 0), requests: &minibus.Requests{Timeout: o.Patience},
		changed: make(chan struct{}), doors: map[message.URL]*openDoor{}, numbers: map[uint32]*openDoor{}}
	r.wg.Go(r.receive)
	return r
}

func (r *running) change(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *running) end(why string) {
	r.change(func() {
		if !r.ended {
			r.ended, r.err = true, why
		}
		for _, d := range r.numbers {
			d.lane.End()
		}
	})
	r.lane.End()
}

// receive takes what the stub posts, and answers its requests.
func (r *running) receive() {
	for {
		frames, err := r.lane.Recv(context.Background())
		if err != nil {
			return
		}
		for _, f := range frames {
			m, err := message.ParseBinary(f.Payload)
			if err != nil {
				r.host.t.Errorf("stubtest: the stub posted what is no message: %v", err)
				continue
			}
			if r.requests.Answer(m) {
				continue
			}
			r.change(func() { r.messages, r.seen = append(r.messages, m), append(r.seen, m) })
			if m.Type == message.Response {
				continue
			}
			if answer, ok := r.o.Answer(m); ok {
				_ = r.post(context.Background(), answer)
			}
		}
	}
}

func (r *running) post(ctx context.Context, m message.Message) error {
	return r.lane.Send(ctx, sdk.Frame{Payload: m.AppendBinary(nil)})
}

func (r *running) open(f *linkpb.OpenDoor) error {
	url, err := message.ParseURL(f.Url)
	if err != nil {
		return &link.ProtocolError{What: err.Error()}
	}
	d := &openDoor{url: url.Canonical(), lane: r.host.conn.Lane(r.number, f.Door)}
	r.change(func() { r.doors[d.url], r.numbers[f.Door] = d, d })
	r.wg.Go(func() {
		for {
			frames, err := d.lane.Recv(context.Background())
			if err != nil {
				return
			}
			r.change(func() {
				for _, f := range frames {
					d.frames = append(d.frames, sdk.Frame{Peer: f.Peer, Payload: append([]byte(nil), f.Payload...)})
				}
			})
		}
	})
	return nil
}

func (r *running) closeDoor(number uint32) {
	r.change(func() {
		if d := r.numbers[number]; d != nil {
			d.closed = true
			d.lane.End()
			if r.doors[d.url] == d {
				delete(r.doors, d.url)
			}
		}
	})
}

// wait waits until ok, which is called with the run's lock held.
func (l *Link) wait(what string, ok func() bool) {
	l.t.Helper()
	late := time.After(l.o.Patience)
	for {
		l.run.mu.Lock()
		done, changed := ok(), l.run.changed
		l.run.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-late:
			l.t.Fatalf("stubtest: waited %s in vain for %s; %s", l.o.Patience, what, l.story())
		}
	}
}

// story is what the stub has done so far, for a failed test.
func (l *Link) story() string {
	l.run.mu.Lock()
	defer l.run.mu.Unlock()
	s := fmt.Sprintf("the stub posted %d messages", len(l.run.seen))
	for _, m := range l.run.seen[max(0, len(l.run.seen)-10):] {
		s += fmt.Sprintf("\n\t%s %s → %s %.200s", m.Type, m.From, m.To, m.Body)
	}
	if l.run.ended {
		s += "\n\tand ended: " + l.run.err
	}
	return s
}

// errEnded is what a stub that has ended cannot do.
var errEnded = errors.New("the stub has ended")
