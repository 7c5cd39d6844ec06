package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/webrtc/v3"

	"github.com/protofly/protofly/sdk/p2p"
)

// scripted are prepared signals: Recv returns them, and then the error, or waits until ctx ends.
type scripted struct {
	mu      sync.Mutex
	come    []p2p.Signal
	then    error // Recv's error after all of them; nil: it waits
	refuses error // of Send
	sent    []p2p.Signal
	noted   func(p2p.Signal) // called with each signal that is sent; may be nil
}

func (s *scripted) Send(_ context.Context, sig p2p.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, sig)
	if s.noted != nil {
		s.noted(sig)
	}
	return s.refuses
}

func (s *scripted) Recv(ctx context.Context) (p2p.Signal, error) {
	s.mu.Lock()
	if len(s.come) > 0 {
		next := s.come[0]
		s.come = s.come[1:]
		s.mu.Unlock()
		return next, nil
	}
	s.mu.Unlock()
	if s.then != nil {
		return p2p.Signal{}, s.then
	}
	<-ctx.Done()
	return p2p.Signal{}, ctx.Err()
}

func describe(text string) p2p.Signal {
	return p2p.Signal{Kind: p2p.Description, Value: json.RawMessage(text)}
}

func transportFor(t *testing.T) *Transport {
	t.Helper()
	tr, err := open(p2p.Config{Options: json.RawMessage(`{"listen":"127.0.0.1:0"}`)}, usualLiveness())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// realOffer is an offer as a Requester makes it.
func realOffer(t testing.TB) string {
	t.Helper()
	pc, err := webrtc.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pc.Close() }()
	if _, err := pc.CreateDataChannel(label, nil); err != nil {
		t.Fatal(err)
	}
	offer, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return offer.SDP
}

// refused runs a Connect that must fail soon, with an error that names the peer, and leave nothing claimed.
func refused(t *testing.T, tr *Transport, role p2p.Role, s p2p.Signals, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	c, err := tr.Connect(ctx, p2p.Peer{Local: alice, Remote: bob, Role: role}, s)
	if err == nil {
		_ = c.Close()
		t.Fatal("connected")
	}
	if !strings.Contains(err.Error(), string(bob)) || !strings.Contains(err.Error(), want) {
		t.Errorf("want %q and the peer in: %v", want, err)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("noticed after %v", took)
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.claims) != 0 {
		t.Errorf("still claimed: %v", tr.claims)
	}
}

// Signals that end or fail, at every point, end the set-up at once, and the transport goes on.
func TestDeadSignals(t *testing.T) {
	tr := transportFor(t)
	offer := describe(string(encodeDescription("offer", realOffer(t), "")))
	broken := errors.New("the signalling is broken")
	for _, c := range []struct {
		name    string
		role    p2p.Role
		signals *scripted
		want    string
	}{
		{"Requester, no answer", p2p.Requester, &scripted{then: io.EOF}, "ended the set-up"},
		{"Requester, broken", p2p.Requester, &scripted{then: broken}, broken.Error()},
		{"Requester cannot send", p2p.Requester, &scripted{refuses: broken}, broken.Error()},
		{"Handler, no offer", p2p.Handler, &scripted{then: io.EOF}, "ended the set-up"},
		{"Handler, broken", p2p.Handler, &scripted{then: broken}, broken.Error()},
		{"Handler, ends after the offer", p2p.Handler, &scripted{come: []p2p.Signal{offer}, then: io.EOF}, "ended the set-up"},
		{"Handler cannot send", p2p.Handler, &scripted{come: []p2p.Signal{offer}, refuses: broken}, broken.Error()},
	} {
		t.Run(c.name, func(t *testing.T) { refused(t, tr, c.role, c.signals, c.want) })
	}
}

// Both roles refuse garbage instead of a description.
func TestGarbageDescriptions(t *testing.T) {
	tr := transportFor(t)
	good := realOffer(t)
	without := func(prefix string) string {
		var lines []string
		for line := range strings.SplitSeq(good, "\r\n") {
			if !strings.HasPrefix(line, prefix) {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\r\n")
	}
	form := func(typ, sdp string) string {
		raw, err := json.Marshal(description{Transport: "webrtc", Type: typ, SDP: sdp})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for _, c := range []struct{ name, text, want string }{
		{"no JSON", `{`, "description"},
		{"a list", `[]`, "description"},
		{"of another transport", `{"transport":"tcp","type":"TYPE","sdp":"v=0"}`, `transport "tcp"`},
		{"of the wrong type", form("rollback", good), `type "rollback"`},
		{"empty", form("TYPE", ""), "description"},
		{"no session", form("TYPE", "hello"), "description"},
		{"cut off", form("TYPE", good[:60]), "description"},
		{"no password", form("TYPE", without("a=ice-pwd")), "description"},
		{"no user", form("TYPE", without("a=ice-ufrag")), "description"},
		{"no certificate", form("TYPE", without("a=fingerprint")), "description"},
		{"too large", form("TYPE", strings.Repeat("x", maxDescription)), "at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for role, typ := range map[p2p.Role]string{p2p.Requester: "answer", p2p.Handler: "offer"} {
				refused(t, tr, role, &scripted{come: []p2p.Signal{describe(strings.ReplaceAll(c.text, "TYPE", typ))}}, c.want)
			}
		})
	}
}

// meddler puts garbage between one side's signals.
type meddler struct {
	p2p.Signals
	garbage []p2p.Signal
}

func (m *meddler) Recv(ctx context.Context) (p2p.Signal, error) {
	if len(m.garbage) > 0 {
		next := m.garbage[0]
		m.garbage = m.garbage[1:]
		return next, nil
	}
	return m.Signals.Recv(ctx)
}

// Invalid candidates, before and after the description, do not prevent the connection; nor does an unknown kind of signal.
func TestGarbageCandidatesAreIgnored(t *testing.T) {
	a, b := transportFor(t), transportFor(t)
	var garbage []p2p.Signal
	for _, text := range []string{
		`{`, `7`, `{"candidate":7}`, `{"candidate":""}`, `{"candidate":"candidate:"}`, `{"candidate":"candidate:1 1 udp"}`,
		`{"candidate":"candidate:1 1 udp 1 999.0.0.1 9 typ host","sdpMid":"0"}`,
		`{"candidate":"candidate:1 1 udp 1 nobody.local 9 typ host","sdpMid":"0"}`,
		`{"candidate":"candidate:1 1 udp 99999999999999999999 127.0.0.1 9 typ host","sdpMid":"0"}`,
		`{"candidate":"candidate:1 1 udp 1 127.0.0.1 99999 typ host","sdpMid":"0"}`,
		`{"candidate":"candidate:1 1 sctp 1 127.0.0.1 9 typ alien","sdpMid":"77","sdpMLineIndex":9}`,
		`{"candidate":"` + strings.Repeat("x", maxCandidate) + `"}`,
	} {
		garbage = append(garbage, p2p.Signal{Kind: p2p.Candidate, Value: json.RawMessage(text)})
	}
	garbage = append(garbage, p2p.Signal{Kind: 77, Value: json.RawMessage(`{}`)})
	there, back := make(chan p2p.Signal, 100), make(chan p2p.Signal, 100)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		c, err := b.Connect(ctx, p2p.Peer{Local: bob, Remote: alice, Role: p2p.Handler}, &meddler{wire{back, there}, garbage})
		if err == nil {
			err = c.Send(ctx, []byte("through"))
		}
		done <- err
	}()
	c, err := a.Connect(ctx, p2p.Peer{Local: alice, Remote: bob, Role: p2p.Requester}, &meddler{wire{there, back}, garbage})
	if e := <-done; err != nil || e != nil {
		t.Fatalf("requester: %v; handler: %v", err, e)
	}
	if got, err := c.Recv(ctx); err != nil || string(got) != "through" {
		t.Fatalf("%q, %v", got, err)
	}
}

// Every address that is signalled is one of the one socket, also for the second and third peer.
func TestOnePortForAllPeers(t *testing.T) {
	tr := transportFor(t)
	port := fmt.Sprint(tr.socket.LocalAddr().(*net.UDPAddr).Port)
	for i := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		s := &scripted{noted: func(sig p2p.Signal) {
			if sig.Kind == p2p.Candidate {
				time.AfterFunc(300*time.Millisecond, cancel) // after the candidates that follow
			}
		}}
		if _, err := tr.Connect(ctx, p2p.Peer{Local: alice, Remote: bob.Join(fmt.Sprint(i)), Role: p2p.Requester}, s); err == nil {
			t.Fatal("connected with nobody")
		}
		s.mu.Lock()
		candidates := 0
		for _, sig := range s.sent {
			if sig.Kind != p2p.Candidate {
				continue
			}
			candidates++
			if c, err := parseCandidate(sig.Value); err != nil || !strings.Contains(c, " "+port+" typ host") {
				t.Errorf("candidate %s, %v; the socket's port is %s", sig.Value, err, port)
			}
		}
		s.mu.Unlock()
		if candidates == 0 {
			t.Error("no candidates were signalled")
		}
	}
}

// A peer's description is understood or refused, whatever it is, and the library gets only what was checked.
func FuzzOfferedSession(f *testing.F) {
	good := realOffer(f)
	f.Add(good)
	for _, change := range [][2]string{{"a=mid:0", "a=mid:"}, {"a=sctp-port:5000", "a=sctp-port:x"}, {"m=application", "m=video"},
		{"a=setup:actpass", "a=setup:"}, {"UDP/DTLS/SCTP", ""}, {"a=fingerprint:sha-256 ", "a=fingerprint:"}, {"a=group:BUNDLE 0", "a=group:"}} {
		f.Add(strings.Replace(good, change[0], change[1], 1))
	}
	f.Fuzz(func(t *testing.T, sdp string) {
		s, err := parseSession(sdp)
		if err != nil {
			return
		}
		if len(sdp) > maxSDP || len(s.candidates) > maxLines || len(s.ufrag) > maxUfrag || len(s.password) > maxPassword || len(s.mid) > maxMid {
			t.Fatalf("%+v", s)
		}
		again, err := parseSession(s.text())
		if err != nil || again.ufrag != s.ufrag || again.password != s.password || again.fingerprint != s.fingerprint || again.setup != s.setup {
			t.Fatalf("%v\n%s", err, s.text())
		}
		if strings.Count(s.text(), "\n") > 20 {
			t.Fatal(s.text())
		}
		for _, c := range s.candidates {
			readable(t, c)
		}
	})
}

// readable checks that the library can read a candidate that was accepted, and reads it as it was checked.
func readable(t *testing.T, text string) {
	t.Helper()
	at, form, err := readCandidate(text)
	if err != nil {
		return
	}
	c, err := ice.UnmarshalCandidate(form)
	if err != nil {
		t.Fatalf("%q: %v", form, err)
	}
	if c.Address() != at.Addr().String() || c.Port() != int(at.Port()) || c.TCPType() != ice.TCPTypeUnspecified {
		t.Fatalf("%q is %v, not %v", form, c, at)
	}
}

// Only candidates of UDP at an IP address are accepted.
func TestReadCandidate(t *testing.T) {
	for text, good := range map[string]bool{
		"candidate:1 1 udp 2130706431 192.0.2.1 9 typ host":                      true,
		"1 1 UDP 2130706431 2001:db8::1 9 typ srflx raddr 10.0.0.1 rport 5 more": true,
		"candidate:1 1 udp 1 ::ffff:192.0.2.1 9 typ relay":                       true,
		"candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype passive":               false,
		"candidate:1 2 udp 1 192.0.2.1 9 typ host":                               false,
		"candidate:1 1 udp 1 somebody.local 9 typ host":                          false,
		"candidate:1 1 udp 1 example.com 9 typ host":                             false,
		"candidate:1 1 udp 1 fe80::1%eth0 9 typ host":                            true, // the policy refuses it
		"candidate:" + strings.Repeat("x", 33) + " 1 udp 1 192.0.2.1 9 typ host": false,
		"candidate:1 1 udp 1 192.0.2.1 99999 typ host":                           false,
		"candidate:1 1 udp -1 192.0.2.1 9 typ host":                              false,
		"candidate:1 1 udp 1 192.0.2.1 9 typ alien":                              false,
		"":                                    false,
		"candidate:1 1 udp 1 192.0.2.1 9 typ": false,
	} {
		_, _, err := readCandidate(text)
		if (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A session description is accepted only for the one data channel, and with fields of limited size.
func TestParseSession(t *testing.T) {
	good := realOffer(t)
	change := func(old, by string) string {
		if !strings.Contains(good, old) {
			t.Fatal(old)
		}
		return strings.Replace(good, old, by, 1)
	}
	ufrag := good[strings.Index(good, "a=ice-ufrag:"):]
	ufrag = ufrag[:strings.Index(ufrag, "\r\n")]
	for name, c := range map[string]struct{ sdp, want string }{
		"as it is":               {good, ""},
		"of Unix":                {strings.ReplaceAll(good, "\r\n", "\n"), ""},
		"media":                  {good + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "more than one"},
		"a second data channel":  {good + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n", "more than one"},
		"only media":             {change("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=video 9 UDP/TLS/RTP/SAVPF 96"), "not a data channel"},
		"refused":                {change("application 9", "application 0"), "port is 0"},
		"a long name":            {change(ufrag, "a=ice-ufrag:"+strings.Repeat("x", 256)), "ice-ufrag of 256"},
		"a name with a blank":    {change(ufrag, "a=ice-ufrag:ab cd"), "character"},
		"a name with a colon":    {change(ufrag, "a=ice-ufrag:ab:cd"), "character"},
		"an unsafe hash":         {change("sha-256", "sha-1"), "fingerprint"},
		"many hashes":            {good + strings.Repeat("a=fingerprint:sha-256 AB\r\n", 9), "fingerprints"},
		"many lines":             {good + strings.Repeat("a=x\r\n", 300), "lines"},
		"a long line":            {good + "a=" + strings.Repeat("x", maxSDP), "bytes"},
		"who begins is not said": {change("a=setup:actpass", "a=setup:holdconn"), "setup"},
		"no port":                {change("a=sctp-port:5000", "a=sctp-port:0"), "sctp-port"},
	} {
		_, err := parseSession(c.sdp)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want %q in %v", name, c.want, err)
		}
	}
}
