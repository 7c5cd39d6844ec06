package conn

import (
	"net/netip"
	"testing"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
)

// If the node keeps too much, a runtime that has many connections with little each loses one of them before a runtime that has
// one with much.
func TestManyConnectionsOfOneAddressMakeRoom(t *testing.T) {
	s := NewSet(t.Context(), Options{})
	at := func(address string, kept int) *Conn {
		c := s.New(quota.Source{Prefix: netip.MustParsePrefix(address + "/32")}, Binary)
		c.ws = &websocket.Conn{}
		c.Remember(kept)
		return c
	}
	server := at("192.0.2.1", 5<<20)
	conns := []*Conn{server}
	for i := range 100 {
		conns = append(conns, at("192.0.2.2", 1<<20+i))
	}
	if worst, bytes := largest(conns); worst != conns[100] || bytes != 1<<20+99 {
		t.Errorf("%v makes room, with %d bytes", worst.From, bytes)
	}
	if worst, _ := largest(conns[:4]); worst != server {
		t.Errorf("%v makes room", worst.From)
	}
	if worst, _ := largest([]*Conn{at("192.0.2.3", 0)}); worst != nil {
		t.Error("one with nothing makes room")
	}
}
