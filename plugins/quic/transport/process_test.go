package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/p2p"
)

// The environment of a child: its role (requester, handler, stun), its options, and where a STUN server listens.
const (
	envRole      = "PROTOFLY_TEST_ROLE"
	envOptions   = "PROTOFLY_TEST_OPTIONS"
	envImpatient = "PROTOFLY_TEST_IMPATIENT" // if there is no path, the Handler waits for one until its time is over
	envListen    = "PROTOFLY_TEST_LISTEN"
)

// line is one line that a child writes: a signal, or how the set-up ended.
type line struct {
	Signal  *p2p.Signal `json:",omitempty"`
	Ready   bool        `json:",omitempty"`
	Done    bool        `json:",omitempty"`
	Error   string      `json:",omitempty"`
	Address string      `json:",omitempty"` // where the peer is
	Took    time.Duration
}

// pipe is a child's p2p.Signals over its standard input and output.
type pipe struct {
	mu  sync.Mutex
	out *json.Encoder
	in  chan p2p.Signal
}

func (p *pipe) write(l line) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Encode(l)
}

func (p *pipe) Send(_ context.Context, s p2p.Signal) error { return p.write(line{Signal: &s}) }

func (p *pipe) Recv(ctx context.Context) (p2p.Signal, error) {
	select {
	case s := <-p.in:
		return s, nil
	case <-ctx.Done():
		return p2p.Signal{}, ctx.Err()
	}
}

// runChild is main in a process that a test has started. It ends when its standard input does.
func runChild(role string) int {
	p := &pipe{out: json.NewEncoder(os.Stdout), in: make(chan p2p.Signal, 200)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		for in := json.NewDecoder(os.Stdin); ; {
			var s p2p.Signal
			if in.Decode(&s) != nil {
				return
			}
			p.in <- s
		}
	}()
	var err error
	switch role {
	case "stun":
		err = childSTUN(ctx, p)
	case "requester":
		err = childPeer(ctx, p, p2p.Requester)
	case "handler":
		err = childPeer(ctx, p, p2p.Handler)
	}
	if err != nil {
		_ = p.write(line{Done: true, Error: err.Error()})
		return 1
	}
	return 0
}

func childSTUN(ctx context.Context, p *pipe) error {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(os.Getenv(envListen))))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	_ = p.write(line{Ready: true})
	serveSTUN(conn, func(from netip.AddrPort) (netip.AddrPort, bool) { return from, false })
	return nil
}

// childPeer connects, sends 100 frames that the other side echoes, reports that, and stays until it is ended.
func childPeer(ctx context.Context, p *pipe, role p2p.Role) error {
	tr, err := New(p2p.Config{Options: json.RawMessage(os.Getenv(envOptions))})
	if err != nil {
		return err
	}
	defer tr.Close()
	began := time.Now()
	limit := patience
	if os.Getenv(envImpatient) != "" {
		limit = 6 * time.Second
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := tr.Connect(limited, p2p.Peer{Local: runtimeA, Remote: runtimeB, Role: role}, p)
	if err != nil {
		return err
	}
	took := time.Since(began)
	for i := range 100 {
		if role == p2p.Requester {
			err = c.Send(limited, fmt.Appendf(nil, "%d", i))
		}
		var frame []byte
		if err == nil {
			frame, err = c.Recv(limited)
		}
		if err == nil && string(frame) != fmt.Sprint(i) {
			err = fmt.Errorf("frame %d is %q", i, frame)
		}
		if err == nil && role == p2p.Handler {
			err = c.Send(limited, frame)
		}
		if err != nil {
			return err
		}
	}
	_ = p.write(line{Done: true, Took: took, Address: c.(*channel).conn.RemoteAddr().String()})
	<-ctx.Done()
	return nil
}

// child is this test binary, started again.
type child struct {
	stdin   io.WriteCloser
	signals *json.Encoder
	lines   chan line // closed when it has ended
}

// startChild starts a child by the command before (such as "ip netns exec NAME"); it ends with the test.
func startChild(t *testing.T, before []string, env ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := append(append([]string(nil), before...), self)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{stdin: stdin, signals: json.NewEncoder(stdin), lines: make(chan line, 300)}
	go func() {
		defer close(c.lines)
		for in := bufio.NewScanner(stdout); in.Scan(); {
			var l line
			if json.Unmarshal(in.Bytes(), &l) == nil {
				c.lines <- l
			}
		}
	}()
	t.Cleanup(func() {
		_ = stdin.Close() // then the child ends; if not:
		late := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		for range c.lines {
		}
		_ = cmd.Wait()
		late.Stop()
	})
	return c
}

// relay carries the signals between two children until both have reported how their set-up ended.
func relay(t *testing.T, a, b *child) (x, y line) {
	t.Helper()
	late := time.After(3 * patience)
	fromA, fromB := a.lines, b.lines // nil when the child has ended
	for !x.Done || !y.Done {
		var l line
		var ok bool
		to, end, source := b, &x, &fromA
		select {
		case l, ok = <-fromA:
		case l, ok = <-fromB:
			to, end, source = a, &y, &fromB
		case <-late:
			t.Fatal("the children do not end")
		}
		switch {
		case !ok && !end.Done:
			t.Fatal("a child has died")
		case !ok:
			*source = nil
		case l.Signal != nil:
			_ = to.signals.Encode(l.Signal)
		case l.Done:
			*end = l
		}
	}
	return x, y
}
