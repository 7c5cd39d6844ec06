package node

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// Whatever ends connections, in whatever order, the memory that was counted for them is given back once.
func TestAllMemoryComesBack(t *testing.T) {
	t.Parallel()
	n := start(t, Options{Legacy: true, Limits: Limits{Queue: 2 << 20, Memory: 6 << 20}})
	const clients = 12
	var all []*client
	var readers sync.WaitGroup
	for i := range clients {
		c := n.join(t, i+1)
		c.must(message.Subscribe, manager, `{"resources":["comm://example.com/all/changes"]}`)
		all = append(all, c)
	}
	plain := n.plain(t, "hyperty-runtime://example.com/plain")
	plain.ask(200, `{"id":1,"type":"subscribe","from":"hyperty-runtime://example.com/plain/sm","to":"domain://msg-node.example.com/sm","body":{"resources":["comm://example.com/all/changes"]}}`)
	body := json.RawMessage(`{"value":"` + strings.Repeat("x", 50<<10) + `"}`)
	for i, c := range all {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for k := range 60 {
				var packet []byte
				switch r.IntN(4) {
				case 0:
					m := message.Message{ID: message.NumberID(uint64(k + 1)), Type: message.Update, From: c.runtime, To: "comm://example.com/all/changes", Body: body}
					packet = wire.AppendMessage(nil, &m)
				case 1:
					m := message.Message{ID: message.NumberID(uint64(k + 1)), Type: message.Create, From: c.runtime, To: message.URL(fmt.Sprintf("hyperty://example.com/none%d", k)), Body: json.RawMessage(`{}`)}
					packet = wire.AppendMessage(nil, &m)
				default:
					packet = wire.AppendData(nil, all[r.IntN(clients)].runtime, make([]byte, 1+r.IntN(200<<10)))
				}
				if c.ws.Write(t.Context(), websocket.MessageBinary, packet) != nil {
					return
				}
			}
		})
		if i%3 == 0 { // the others read nothing
			readers.Go(func() {
				for {
					if _, _, err := c.ws.Read(t.Context()); err != nil {
						return
					}
				}
			})
		}
	}
	var chaos sync.WaitGroup
	chaos.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for range 60 {
			<-tick.C
			some := n.conns.List()
			if len(some) == 0 {
				return
			}
			switch c := some[r.IntN(len(some))]; r.IntN(8) {
			case 0:
				c.Kick(websocket.StatusTryAgainLater, "test")
			case 1:
				c.Kick(websocket.StatusTryAgainLater, "test")
				c.Forfeit()
			case 2:
				c.Lost(fmt.Errorf("test"))
			case 3:
				n.conns.Relieve()
			}
		}
	})
	chaos.Wait()
	for _, c := range all {
		c.ws.CloseNow()
	}
	plain.ws.CloseNow()
	readers.Wait()
	eventually(t, "all connections end", func() bool { return n.conns.Len() == 0 })
	eventually(t, "nothing is kept", func() bool { return n.conns.Memory.Kept() == 0 })
}
