package transport

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun"

	"github.com/protofly/protofly/sdk/udp/reach"
)

// checkOf is a check, as the library sends it.
func checkOf(t testing.TB) *stun.Message {
	t.Helper()
	m, err := stun.Build(stun.BindingRequest, stun.TransactionID, stun.NewUsername("theirs:mine"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func answerTo(t testing.TB, q *stun.Message, from *net.UDPConn) []byte {
	t.Helper()
	at := from.LocalAddr().(*net.UDPAddr)
	m, err := stun.Build(q, stun.BindingSuccess, &stun.XORMappedAddress{IP: at.IP, Port: at.Port})
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

func ask(t *testing.T, c net.PacketConn, to *net.UDPConn) *stun.Message {
	t.Helper()
	q := checkOf(t)
	if _, err := c.WriteTo(q.Raw, to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	return q
}

// An address belongs to the connection that it has answered. Another connection does not get it by sending there, before or
// after, and each gets its own answers.
func TestAnswerMakesOwner(t *testing.T) {
	m := muxFor(t, "127.0.0.1:0", Options{})
	here := udpAddress("127.0.0.1", m)
	peer := outside(t)
	var strangers []net.PacketConn
	for i := range 3 * maxClaims {
		c := part(t, m, "stranger"+itoa(i), "127.0.0.1")
		ask(t, c, peer)
		strangers = append(strangers, c)
	}
	honest := part(t, m, "honest", "127.0.0.1")
	q := ask(t, honest, peer)
	for i := range 200 {
		c := part(t, m, "later"+itoa(i), "127.0.0.1")
		ask(t, c, peer)
		strangers = append(strangers, c)
	}
	wrong := checkOf(t)
	send(t, peer, here, answerTo(t, wrong, peer)) // to a request that nobody has sent: dropped
	send(t, outside(t), here, answerTo(t, q, peer))
	send(t, peer, here, answerTo(t, q, peer))
	expect(t, honest, answerTo(t, q, peer), peer)
	for _, c := range strangers {
		for range 3 {
			ask(t, c, peer)
		}
	}
	for i := range 3 {
		send(t, peer, here, record(itoa(i)))
		expect(t, honest, record(itoa(i)), peer)
	}
	for i := range 1000 { // the tables do not grow with time
		if _, err := honest.WriteTo(record("x"), peer.LocalAddr()); err != nil {
			t.Fatal(i, err)
		}
		ask(t, honest, peer)
	}
	c := honest.(*muxConn)
	if len(c.addresses) != 1 || len(c.asked) > maxAsked || len(m.routes) != 1 || len(m.routes[address(t, peer)].claims) > maxClaims {
		t.Errorf("%d addresses, %d questions, %d routes", len(c.addresses), len(c.asked), len(m.routes))
	}
}

// A new connection of a peer behind the same address gets the packets from there once the connection before has been silent for
// a while, and not earlier.
func TestOwnerThatIsGone(t *testing.T) {
	one, two := &muxConn{}, &muxConn{}
	now := time.Unix(1000, 0)
	r := &route{claims: []*muxConn{two, one}}
	r.confirm(one, now)
	r.confirm(two, now.Add(ownerQuiet))
	if r.target() != one {
		t.Error("it is taken away")
	}
	r.confirm(one, now.Add(ownerQuiet))
	r.confirm(two, now.Add(ownerQuiet+time.Second))
	if r.target() != one {
		t.Error("it is taken from one that was answered a second ago")
	}
	r.confirm(two, now.Add(2*ownerQuiet+1))
	if r.target() != two || len(r.claims) != 1 || r.claims[0] != one {
		t.Errorf("%v", r)
	}
}

// Little is sent to addresses that have not answered. A check from an address is returned although a limit is used up, and
// addresses that have answered do not count.
func TestUnansweredBudget(t *testing.T) {
	m := muxFor(t, "127.0.0.1:0", Options{})
	v := newVictim(t, 1)
	began := time.Now()
	for i := range 20 {
		c, err := peersMux{m, "stranger" + itoa(i), nil}.GetConn("stranger"+itoa(i), udpAddress("127.0.0.1", m))
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			ask(t, c, v.sockets[0])
			_, _ = c.WriteTo(record("x"), v.sockets[0].LocalAddr())
		}
	}
	peer := outside(t)
	honest := part(t, m, "honest", "127.0.0.1")
	here := udpAddress("127.0.0.1", m)
	key := address(t, peer)
	if sent, _ := m.leaves(checkOf(t).Raw, key, peer.LocalAddr().(*net.UDPAddr), honest.(*muxConn), true); sent {
		t.Error("the limit has not been used up: the test shows nothing")
	}
	hello := request(t, "honest")
	send(t, peer, here, hello)
	expect(t, honest, hello, peer)
	q := ask(t, honest, peer)
	b := make([]byte, 2000)
	_ = peer.SetReadDeadline(time.Now().Add(patience))
	if n, err := peer.Read(b); err != nil || string(b[:n]) != string(q.Raw) {
		t.Fatalf("who was heard is not asked back: %d bytes, %v", n, err)
	}
	send(t, peer, here, answerTo(t, q, peer))
	expect(t, honest, answerTo(t, q, peer), peer)
	for range 1000 {
		if sent, err := m.leaves(checkOf(t).Raw, key, peer.LocalAddr().(*net.UDPAddr), honest.(*muxConn), true); !sent || err != nil {
			t.Fatal("who has answered is limited", err)
		}
	}
	most := limits().Host.Datagrams
	back := int(float64(most) * float64(time.Since(began)) / float64(reach.Usual().Refill)) // the part of the limit that has refilled meanwhile
	if n := v.count(); n > most+back+1 {
		t.Errorf("%d packets to one host, at most %d", n, most+back)
	}
}

// A connection takes packets from a bounded number of addresses, since the library remembers each, and from none that peers may
// not name.
func TestStrangeAddresses(t *testing.T) {
	no := false
	m := muxFor(t, "127.0.0.1:0", Options{Loopback: &no})
	c := part(t, m, "mine", "127.0.0.1").(*muxConn)
	hello := request(t, "mine")
	m.deliver(hello, len(hello), netip.MustParseAddrPort("127.0.0.1:99"))
	if c.waiting != 0 {
		t.Error("spoken to from loopback")
	}
	for i := range 4 * maxStrange {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, byte(i >> 8), byte(i)}), 99)
		m.deliver(hello, len(hello), from)
	}
	if c.waiting != maxStrange*len(hello) || len(m.routes) != 0 {
		t.Errorf("%d bytes, %d routes", c.waiting, len(m.routes))
	}
}
