package transporttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/p2p"
)

// peerEnv is set in the process that plays the other side.
const peerEnv = "PROTOFLY_TRANSPORTTEST_PEER"

// signalMark begins the lines of the peer's output that are signals; the testing package writes there too.
const signalMark = "transporttest-signal "

// testDeadPeer: the other side is a process of its own, which is killed, and one which hangs.
func testDeadPeer(t *testing.T, s Suite) {
	s.New = s.Hasty
	requester, stop := s.make(t, s.Requester)
	defer stop()
	deaths := map[string]func(*os.Process) error{"killed": (*os.Process).Kill}
	if freeze != nil {
		deaths["frozen"] = freeze
	}
	var all sync.WaitGroup
	for name, death := range deaths {
		all.Go(func() {
			if err := s.noticesDeath(t, requester, name, death); err != nil {
				t.Errorf("%s peer: %v", name, err)
			}
		})
	}
	all.Wait()
}

func (s Suite) noticesDeath(t *testing.T, requester p2p.Transport, name string, death func(*os.Process) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.Setup)
	defer cancel()
	w := newWire(t, 0)
	peer, err := startPeer(t, w.b)
	if err != nil {
		return err
	}
	defer peer.end()
	r := one(ctx, requester, p2p.Peer{Local: runtimeURL("alice", 0), Remote: runtimeURL("bob-"+name, 0), Role: p2p.Requester}, w.a)
	if r.err != nil {
		return fmt.Errorf("connecting: %w; its output: %s", r.err, peer.output())
	}
	defer r.close()
	if err := r.channel.Send(ctx, []byte("are you there?")); err != nil {
		return err
	}
	if got, err := r.channel.Recv(ctx); err != nil || string(got) != "are you there?" {
		return fmt.Errorf("the peer does not echo: %q, %v", got, err)
	}
	if err := death(peer.cmd.Process); err != nil {
		return err
	}
	died := time.Now()
	err = recvError(r.channel, s.Dead+2*time.Second)
	if took := time.Since(died); took > s.Dead {
		return fmt.Errorf("its death was noticed after %v (%v), at most %v is allowed", took, err, s.Dead)
	}
	t.Logf("%s peer: noticed after %v: %v", name, time.Since(died).Round(time.Millisecond), err)
	return nil
}

// peerProcess is the test binary, started as the other side.
type peerProcess struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  sync.WaitGroup
	stop  context.CancelFunc
	mu    sync.Mutex
	other bytes.Buffer // its output that is not a signal
}

// startPeer starts the process; what comes to end e goes there, and its signals leave by e.
func startPeer(t *testing.T, e *end) (*peerProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// The test function that called Run or DeadPeer, which is the parent of the running subtest.
	names := strings.Split(t.Name(), "/")
	for i, n := range names {
		names[i] = "^" + regexp.QuoteMeta(n) + "$"
	}
	p := &peerProcess{cmd: exec.Command(exe, "-test.run="+strings.Join(names[:len(names)-1], "/"), "-test.timeout=120s")}
	p.cmd.Env = append(os.Environ(), peerEnv+"=1")
	p.cmd.Stderr = p
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the test binary as the peer: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.done.Go(func() {
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var s p2p.Signal
			if text, ok := strings.CutPrefix(lines.Text(), signalMark); ok && json.Unmarshal([]byte(text), &s) == nil {
				_ = e.Send(ctx, s)
			} else {
				fmt.Fprintln(p, lines.Text())
			}
		}
	})
	p.done.Go(func() {
		out := json.NewEncoder(p.stdin)
		for {
			s, err := e.Recv(ctx)
			if err != nil || out.Encode(s) != nil {
				return
			}
		}
	})
	return p, nil
}

// Write keeps what the process says, for the report of a failure.
func (p *peerProcess) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.other.Len() < 64<<10 {
		p.other.Write(b)
	}
	return len(b), nil
}

func (p *peerProcess) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.other.String()
}

// end kills the process and waits for it.
func (p *peerProcess) end() {
	p.stop()
	_ = p.cmd.Process.Kill()
	_ = p.stdin.Close()
	p.done.Wait()
	_ = p.cmd.Wait()
}

// playPeer is the other process: a Handler that echoes until it is killed or the test that started it is gone.
func (s Suite) playPeer(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w := newWire(t, 0)
	go func() {
		in := json.NewDecoder(os.Stdin)
		for {
			var sig p2p.Signal
			if in.Decode(&sig) != nil {
				os.Exit(0) // nobody is there any more
			}
			w.a.out.put(letter{sig, time.Time{}})
		}
	}()
	go func() {
		for {
			sig, err := w.a.Recv(ctx)
			if err != nil {
				return
			}
			text, _ := json.Marshal(sig)
			fmt.Printf("%s%s\n", signalMark, text)
		}
	}()
	s.New = s.Hasty
	tr, stop := s.make(t, s.Handler)
	defer stop()
	r := one(ctx, tr, p2p.Peer{Local: runtimeURL("bob", 0), Remote: runtimeURL("alice", 0), Role: p2p.Handler}, w.b)
	if r.err != nil {
		t.Fatalf("connecting: %v", r.err)
	}
	for {
		frame, err := r.channel.Recv(ctx)
		if err != nil {
			return
		}
		if err := r.channel.Send(ctx, frame); err != nil {
			return
		}
	}
}
