package transport

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk/udp/reach"
)

func TestOptions(t *testing.T) {
	for _, good := range []string{
		``, ` `, `null`, `{}`, `{"listen":":4433"}`, `{"listen":"192.0.2.1:0"}`, `{"listen":"[::]:0"}`,
		`{"stun":["stun.example.com:3478","[2001:db8::1]:3478"]}`, `{"advertise":["198.51.100.7","198.51.100.7:99","[2001:db8::1]:99"]}`,
		`{"interfaces":["eth*"],"exclude_interfaces":["docker0"],"loopback":false,"private":false}`,
	} {
		if _, err := parseOptions(json.RawMessage(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, says := range map[string]string{
		`{"lisen":":1"}`:                  "lisen",
		`{"listen":1}`:                    "listen",
		`{"listen":"4433"}`:               "listen",
		`{"listen":":99999"}`:             "listen",
		`{"listen":"localhost:1"}`:        "listen",
		`{"listen":"224.0.0.1:1"}`:        "listen",
		`{"stun":["stun.example.com"]}`:   "stun",
		`{"stun":["stun.example.com:0"]}`: "stun",
		`{"stun":[":3478"]}`:              "stun",
		`{"advertise":["example.com"]}`:   "advertise",
		`{"advertise":["0.0.0.0:1"]}`:     "advertise",
		`{"interfaces":["["]}`:            "interface",
		`{"loopback":"yes"}`:              "loopback",
		`[]`:                              "object",
		`{} {}`:                           "follows",
		`{`:                               "quic options",
		strings.Repeat(" ", maxOptions+1): "at most",
	} {
		if _, err := parseOptions(json.RawMessage(bad)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
}

func TestInterfacesTold(t *testing.T) {
	s, err := parseOptions(json.RawMessage(`{"interfaces":["eth*","wlan0"],"exclude_interfaces":["eth9"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"eth0": true, "eth9": false, "wlan0": true, "docker0": false} {
		if s.tells(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func TestAdvertisedAddresses(t *testing.T) {
	a := start(t, `{"listen":"127.0.0.1:0","advertise":["198.51.100.7","198.51.100.8:99"]}`)
	hosts := a.survey().hosts
	want := []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), a.local.Port()), netip.MustParseAddrPort("198.51.100.8:99"), a.local}
	if len(hosts) != len(want) {
		t.Fatalf("%v, want %v", hosts, want)
	}
	for i, w := range want {
		if hosts[i].address != w {
			t.Errorf("candidate %d is %v, want %v", i, hosts[i], w)
		}
	}
}

func TestBroadcastAddresses(t *testing.T) {
	for prefix, want := range map[string]string{"192.0.2.77/24": "192.0.2.255", "10.1.2.3/15": "10.1.255.255", "10.0.0.1/31": "", "10.0.0.1/32": "", "2001:db8::1/64": ""} {
		got, ok := reach.BroadcastOf(netip.MustParsePrefix(prefix))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %v %v, want %q", prefix, got, ok, want)
		}
	}
}

func TestDescriptionRoundTrip(t *testing.T) {
	want := description{certificate: hash{1, 2, 3}, token: newToken(), candidates: []candidate{
		{typeHost, netip.MustParseAddrPort("192.0.2.1:5")}, {typeReflexive, netip.MustParseAddrPort("[2001:db8::1]:6")},
	}}
	got, err := parseDescription(want.encode())
	if err != nil || got.certificate != want.certificate || got.token != want.token || len(got.candidates) != 2 || got.candidates[1] != want.candidates[1] {
		t.Fatalf("%+v, %v", got, err)
	}
	for range 100 {
		want.candidates = append(want.candidates, want.candidates[0])
	}
	if got, err := parseDescription(want.encode()); err != nil || len(got.candidates) != maxCandidates {
		t.Errorf("%d candidates, %v", len(got.candidates), err)
	}
}

func FuzzOptions(f *testing.F) {
	f.Add([]byte(`{"listen":":0","stun":["a:1"],"advertise":["192.0.2.1"],"interfaces":["e*"],"loopback":false}`))
	f.Add([]byte(`{"listen":"[::1]:0"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := parseOptions(raw)
		if err == nil && (s.listen == nil || s.network == "" || len(s.stun) > maxServers) {
			t.Errorf("%+v", s)
		}
	})
}

func FuzzSignals(f *testing.F) {
	f.Add([]byte(description{candidates: []candidate{{typeHost, netip.MustParseAddrPort("192.0.2.1:5")}}}.encode()))
	f.Add([]byte(candidate{kind: typeEnd}.encode()))
	f.Add([]byte(`{"type":"host","address":"[::ffff:224.0.0.1]:5"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		check := func(c candidate) {
			if c.kind != typeEnd && !usable(c.address) {
				t.Errorf("accepted %+v", c)
			}
		}
		if c, err := parseCandidate(raw); err == nil {
			check(c)
		}
		d, err := parseDescription(raw)
		if err != nil {
			return
		}
		for _, c := range d.candidates {
			check(c)
		}
		again, err := parseDescription(d.encode())
		if err != nil || again.certificate != d.certificate || again.token != d.token || len(again.candidates) != len(d.candidates) {
			t.Errorf("%+v does not come back: %+v, %v", d, again, err)
		}
	})
}

// encodeAnswer is a STUN server's success response with one address attribute.
func encodeAnswer(id transaction, kind uint16, at netip.AddrPort) []byte {
	b := make([]byte, stunHeader, 64)
	binary.BigEndian.PutUint16(b, stunSuccess)
	binary.BigEndian.PutUint32(b[4:], stunCookie)
	copy(b[8:], id[:])
	ip, family := at.Addr().AsSlice(), byte(stunFamily4)
	if len(ip) == 16 {
		family = stunFamily6
	}
	port := binary.BigEndian.AppendUint16(nil, at.Port())
	if kind == stunXorMapped {
		port[0], port[1] = port[0]^b[4], port[1]^b[5]
		for i := range ip {
			ip[i] ^= b[4+i]
		}
	}
	b = binary.BigEndian.AppendUint16(b, 0x8022) // SOFTWARE, with padding
	b = append(b, 0, 5, 't', 'e', 's', 't', 's', 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(ip)))
	b = append(append(append(b, 0, family), port...), ip...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-stunHeader))
	return b
}

func TestSTUNAnswers(t *testing.T) {
	id := newTransaction()
	for _, kind := range []uint16{stunMapped, stunXorMapped} {
		for _, text := range []string{"192.0.2.1:5678", "[2001:db8::17]:65535"} {
			want := netip.MustParseAddrPort(text)
			gotID, got, err := parseAnswer(encodeAnswer(id, kind, want))
			if err != nil || got != want || gotID != id {
				t.Errorf("%#x %s: %v, %v", kind, text, got, err)
			}
		}
	}
	good := encodeAnswer(id, stunXorMapped, netip.MustParseAddrPort("192.0.2.1:5678"))
	for n := range good {
		if _, _, err := parseAnswer(good[:n]); err == nil {
			t.Errorf("accepted when cut to %d bytes", n)
		}
	}
	for _, at := range []string{"224.0.0.1:5", "192.0.2.1:0", "0.0.0.0:5"} {
		if _, got, err := parseAnswer(encodeAnswer(id, stunXorMapped, netip.MustParseAddrPort(at))); err == nil {
			t.Errorf("accepted %v", got)
		}
	}
}

func FuzzDatagrams(f *testing.F) {
	f.Add(encodePunch(newToken()))
	f.Add(newTransaction().encodeRequest())
	f.Add(encodeAnswer(newTransaction(), stunXorMapped, netip.MustParseAddrPort("192.0.2.1:5678")))
	f.Add(encodeAnswer(newTransaction(), stunMapped, netip.MustParseAddrPort("[2001:db8::17]:5678")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if to, ok := parsePunch(b); ok && string(b[4:]) != string(to[:]) {
			t.Error("a punch that does not come back")
		}
		if _, at, err := parseAnswer(b); err == nil && !usable(at) {
			t.Errorf("accepted %v", at)
		}
	})
}

// stunServer answers binding requests on a socket of its own until the test ends; it says what tell makes of the source.
func stunServer(t *testing.T, tell func(from netip.AddrPort) (answer netip.AddrPort, drop bool)) string {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		serveSTUN(conn, tell)
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return conn.LocalAddr().String()
}

func serveSTUN(conn *net.UDPConn, tell func(netip.AddrPort) (netip.AddrPort, bool)) {
	b := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if n != stunHeader || binary.BigEndian.Uint16(b) != stunRequest {
			continue
		}
		if at, drop := tell(netip.AddrPortFrom(from.Addr().Unmap(), from.Port())); !drop {
			_, _ = conn.WriteToUDPAddrPort(encodeAnswer(transaction(b[8:20]), stunXorMapped, at), from)
		}
	}
}

func TestReflexiveAddresses(t *testing.T) {
	t.Parallel()
	seen := netip.MustParseAddrPort("198.51.100.9:61002")
	lost := 1
	lossy := stunServer(t, func(netip.AddrPort) (netip.AddrPort, bool) { lost--; return seen, lost >= 0 })
	plain := stunServer(t, func(from netip.AddrPort) (netip.AddrPort, bool) { return from, false })
	mute := stunServer(t, func(netip.AddrPort) (netip.AddrPort, bool) { return netip.AddrPort{}, true })
	raw, _ := json.Marshal(Options{STUN: []string{lossy, plain, mute}})
	a := start(t, string(raw))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	got := make(map[netip.AddrPort]bool)
	for at := range a.reflexive(ctx) {
		if got[at] = true; len(got) == 2 {
			cancel() // the server that does not answer would be waited for to the end
		}
	}
	own := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.local.Port())
	if !got[seen] || !got[own] || len(got) != 2 {
		t.Errorf("%v, want %v and %v", got, seen, own)
	}
	if len(a.queries) != 0 {
		t.Errorf("%d queries are left", len(a.queries))
	}
}

// Only the server that was asked is believed.
func TestAnswerFromElsewhereIsIgnored(t *testing.T) {
	a := start(t, `{"listen":"127.0.0.1:0"}`)
	id, server := newTransaction(), netip.MustParseAddrPort("192.0.2.9:3478")
	q := &query{server: server, answer: make(chan netip.AddrPort, 1)}
	a.mu.Lock()
	a.queries[id] = q
	a.mu.Unlock()
	answer := encodeAnswer(id, stunXorMapped, netip.MustParseAddrPort("192.0.2.1:5678"))
	a.take(answer, netip.MustParseAddrPort("192.0.2.10:3478"))
	a.take(encodeAnswer(newTransaction(), stunXorMapped, netip.MustParseAddrPort("192.0.2.1:5678")), server)
	if len(q.answer) != 0 {
		t.Fatal("believed")
	}
	a.take(answer, server)
	if len(q.answer) != 1 {
		t.Fatal("the server's own answer was ignored")
	}
	a.mu.Lock()
	delete(a.queries, id)
	a.mu.Unlock()
}
