package transport

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/p2p"
)

func TestTwoTransportsConnect(t *testing.T) {
	for name, options := range map[string]string{
		"dual stack":    ``,
		"IPv4":          `{"listen":"0.0.0.0:0"}`,
		"IPv4 loopback": `{"listen":"127.0.0.1:0"}`,
		"IPv6 loopback": `{"listen":"[::1]:0"}`,
		"only loopback": `{"interfaces":["lo*"]}`,
		"no loopback":   `{"loopback":false}`,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := start(t, options), start(t, options)
			if len(a.survey().hosts) == 0 {
				t.Skip("this machine has no such address")
			}
			var x, y p2p.Channel
			fastest := patience
			for range 5 { // the machine may do something else meanwhile
				began := time.Now()
				x, y = connected(t, a, b)
				if fastest = min(fastest, time.Since(began)); fastest <= time.Second {
					break
				}
			}
			if fastest > time.Second {
				t.Errorf("it took %v", fastest)
			}
			if err := exchange(within(t, patience), x, y, "hello"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The channel must live on when the set-up's context has ended.
func TestChannelOutlivesTheSetUp(t *testing.T) {
	a, b := start(t, ""), start(t, "")
	ctx, cancel := context.WithCancel(context.Background())
	wa, wb := newWires()
	x, y := both(ctx, a, b, wa, wb)
	cancel()
	if x.err != nil || y.err != nil {
		t.Fatal(x.err, y.err)
	}
	if err := exchange(within(t, patience), x.channel, y.channel, "still here"); err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.setups) != 0 {
		t.Error("the set-up is still registered")
	}
}

func TestWrongCertificateIsRefused(t *testing.T) {
	t.Parallel()
	wrong := altered(func(d *descriptionForm) { d.Certificate = strings.Repeat("ab", 32) })
	t.Run("of the Handler", func(t *testing.T) {
		unconnected(t, nil, wrong, "does not name the cause", func(err error) bool { return errors.Is(err, errCertificate) })
	})
	t.Run("of the Requester", func(t *testing.T) {
		unconnected(t, wrong, nil, "does not say that the other side refused", func(err error) bool { return strings.Contains(err.Error(), "remote") })
	})
}

// unconnected checks that two Transports do not connect if their descriptions are changed, and the Requester's error. One side
// waits until its time is over, so the time is short at first; on a busy machine, which may need more, it is longer in the next
// try.
func unconnected(t *testing.T, changeA, changeB func(p2p.Signal) p2p.Signal, complaint string, says func(error) bool) {
	t.Helper()
	var err error
	for _, limit := range []time.Duration{2 * time.Second, 10 * time.Second, patience} {
		a, b := start(t, ""), start(t, "")
		wa, wb := newWires()
		wa.change, wb.change = changeA, changeB
		x, y := both(within(t, limit), a, b, wa, wb)
		if x.err == nil || y.err == nil {
			t.Fatalf("connected: %v, %v", x.err, y.err)
		}
		if err = x.err; says(err) {
			return
		}
	}
	t.Errorf("the Requester's error %s: %v", complaint, err)
}

// A peer with the right certificate is accepted only by the set-up whose token it has.
func TestWrongTokenIsRefused(t *testing.T) {
	t.Parallel()
	change := altered(func(d *descriptionForm) { d.Token = strings.Repeat("00", 16) })
	unconnected(t, nil, change, "", func(error) bool { return true })
}

func TestMalformedSignals(t *testing.T) {
	good := string(description{certificate: hash{1}, token: newToken()}.encode())
	for name, first := range map[string]p2p.Signal{
		"no description":  {Kind: p2p.Candidate, Value: json.RawMessage(`{"type":"end"}`)},
		"not JSON":        {Value: json.RawMessage(`{`)},
		"empty":           {},
		"array":           {Value: json.RawMessage(`[]`)},
		"other transport": {Value: json.RawMessage(strings.Replace(good, `"quic"`, `"carrier pigeon"`, 1))},
		"later version":   {Value: json.RawMessage(strings.Replace(good, `"version":1`, `"version":2`, 1))},
		"short hash":      {Value: json.RawMessage(strings.Replace(good, `"certificate":"01`, `"certificate":"`, 1))},
		"no hex":          {Value: json.RawMessage(strings.Replace(good, `"certificate":"01`, `"certificate":"zz`, 1))},
		"too big":         {Value: json.RawMessage(`"` + strings.Repeat("x", maxDescription) + `"`)},
	} {
		for _, role := range []p2p.Role{p2p.Requester, p2p.Handler} {
			tr := start(t, "")
			w, peer := newWires()
			peer.out <- first
			began := time.Now()
			c, err := tr.Connect(within(t, patience), p2p.Peer{Remote: runtimeB, Role: role}, w)
			if err == nil {
				_ = c.Close()
				t.Errorf("%s: connected", name)
			} else if took := time.Since(began); took > patience/2 {
				t.Errorf("%s: noticed after %v only: %v", name, took, err)
			}
		}
	}
}

// Bad candidates, before and after the good ones, do not prevent the connection.
func TestBadCandidatesAreIgnored(t *testing.T) {
	a, b := start(t, ""), start(t, "")
	bad := []candidateForm{
		{Type: "host", Address: "224.0.0.1:99"}, {Type: "host", Address: "255.255.255.255:99"}, {Type: "host", Address: "0.0.0.0:99"},
		{Type: "host", Address: "127.0.0.1:0"}, {Type: "host", Address: "[fe80::1%eth0]:99"}, {Type: "host", Address: "example.com:99"},
		{Type: "magic", Address: "127.0.0.1:99"}, {}, {Type: "srflx"},
	}
	wa, wb := newWires()
	change := altered(func(d *descriptionForm) { d.Candidates = append(bad, d.Candidates...) })
	wa.change, wb.change = change, change
	x, y := both(within(t, patience), a, b, wa, wb)
	if x.err != nil || y.err != nil {
		t.Fatal(x.err, y.err)
	}
	if err := exchange(within(t, patience), x.channel, y.channel, "x"); err != nil {
		t.Fatal(err)
	}
}

// The Handler's addresses come only after its description, one by one.
func TestCandidatesThatFollow(t *testing.T) {
	a, b := start(t, ""), start(t, "")
	wa, wb := newWires()
	var kept []candidateForm
	wb.change = altered(func(d *descriptionForm) { kept, d.Candidates = d.Candidates, nil })
	// Without an address of either side, neither can punch or dial until the candidates have followed.
	wa.change = altered(func(d *descriptionForm) { d.Candidates = nil })
	slow := &delayed{wire: wb, then: func() []p2p.Signal {
		signals := []p2p.Signal{{Kind: p2p.Candidate, Value: json.RawMessage(`[1`)}, {Kind: p2p.Description, Value: json.RawMessage(`{}`)}}
		for _, f := range kept {
			raw, _ := json.Marshal(f)
			signals = append(signals, p2p.Signal{Kind: p2p.Candidate, Value: raw})
		}
		return signals
	}}
	done := make(chan ended, 1)
	ctx := within(t, patience)
	go func() {
		c, err := b.Connect(ctx, p2p.Peer{Remote: runtimeA, Role: p2p.Handler}, slow)
		done <- ended{c, err}
	}()
	x, err := a.Connect(ctx, p2p.Peer{Remote: runtimeB, Role: p2p.Requester}, wa)
	y := <-done
	if err != nil || y.err != nil {
		t.Fatal(err, y.err)
	}
	if err := exchange(ctx, x, y.channel, "x"); err != nil {
		t.Fatal(err)
	}
}

// delayed sends more signals after the first.
type delayed struct {
	*wire
	then func() []p2p.Signal
}

func (d *delayed) Send(ctx context.Context, s p2p.Signal) error {
	if err := d.wire.Send(ctx, s); err != nil || d.then == nil {
		return err
	}
	more := d.then()
	d.then = nil
	for _, s := range more {
		if err := d.wire.Send(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// The Handler sends no candidates, but the Requester can be reached: the Handler's punch shows it where to dial.
func TestPunchShowsTheWay(t *testing.T) {
	a, b := start(t, `{"listen":"127.0.0.1:0"}`), start(t, `{"listen":"127.0.0.1:0"}`)
	wa, wb := newWires()
	wb.change = altered(func(d *descriptionForm) { d.Candidates = nil })
	x, y := both(within(t, patience), a, b, wa, wb)
	if x.err != nil || y.err != nil {
		t.Fatal(x.err, y.err)
	}
	if err := exchange(within(t, patience), x.channel, y.channel, "x"); err != nil {
		t.Fatal(err)
	}
}

func TestNoWayIsNoticed(t *testing.T) {
	t.Parallel()
	a, b := start(t, ""), start(t, "")
	wa, wb := newWires()
	none := altered(func(d *descriptionForm) { d.Candidates = nil })
	wa.change, wb.change = none, none
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	began := time.Now()
	go func() {
		_, _ = b.Connect(ctx, p2p.Peer{Remote: runtimeA, Role: p2p.Handler}, wb)
	}()
	_, err := a.Connect(ctx, p2p.Peer{Remote: runtimeB, Role: p2p.Requester}, wa)
	cancel()
	if err == nil || time.Since(began) > dialGrace+patience {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func TestManyPeersOnOneSocket(t *testing.T) {
	const peers = 40
	hub := start(t, "")
	var others []*Transport
	for range 4 {
		others = append(others, start(t, ""))
	}
	var work sync.WaitGroup
	failed := make(chan error, peers)
	for i := range peers {
		other := others[i%len(others)]
		work.Go(func() {
			wa, wb := newWires()
			ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
			defer cancel()
			from, to := hub, other // the hub both requests and handles
			if i%2 == 0 {
				from, to = other, hub
			}
			x, y := both(ctx, from, to, wa, wb)
			if x.err != nil || y.err != nil {
				failed <- fmt.Errorf("peer %d: %v, %v", i, x.err, y.err)
				return
			}
			defer x.channel.Close()
			for n := range 20 {
				if err := exchange(ctx, x.channel, y.channel, fmt.Sprint(i, n)); err != nil {
					failed <- fmt.Errorf("peer %d: %w", i, err)
					return
				}
			}
			if ax, ay := x.channel.(*channel).conn.LocalAddr(), hub.socket.LocalAddr(); from == hub && ax.(*net.UDPAddr).Port != ay.(*net.UDPAddr).Port {
				failed <- fmt.Errorf("peer %d has another socket", i)
			}
		})
	}
	work.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
}

// The dials that lose end silently, so the Handler's side sees them hang for a while: they must stay few, or a busy
// Handler would soon refuse everybody.
func TestManySetUpsOneAfterAnother(t *testing.T) {
	a, b := start(t, ""), start(t, "")
	for range 300 {
		x, y := connected(t, a, b)
		_ = x.Close()
		if _, err := y.Recv(within(t, patience)); err != io.EOF {
			t.Fatal(err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if hanging := b.admission.waiting(); hanging > 150 {
		t.Errorf("%d connections hang after 300 set-ups", hanging)
	}
}

func TestPortInUse(t *testing.T) {
	a := start(t, `{"listen":"127.0.0.1:0"}`)
	_, err := New(p2p.Config{Options: json.RawMessage(fmt.Sprintf(`{"listen":%q}`, a.local))})
	if err == nil || !strings.Contains(err.Error(), `"listen"`) {
		t.Errorf("%v", err)
	}
}

func TestHandlerKnowsTheRequesterBeforeItAnswers(t *testing.T) {
	b := start(t, "")
	requester, handler := newWires()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.Connect(ctx, p2p.Peer{Remote: runtimeA, Role: p2p.Handler}, handler)
		done <- err
	}()
	select {
	case <-requester.in:
		t.Fatal("the Handler described itself first")
	case <-time.After(50 * time.Millisecond):
	}
	mine := description{certificate: hash{9}, token: newToken()}
	_ = requester.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: mine.encode()})
	answer := <-requester.in
	if !b.expects(hash{9}) {
		t.Error("it answered before it would let the Requester in")
	}
	if d, err := parseDescription(answer.Value); err != nil || hex.EncodeToString(d.certificate[:]) != b.hash.String() {
		t.Errorf("its description: %+v, %v", d, err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if b.expects(hash{9}) {
		t.Error("it still lets the Requester in")
	}
}
