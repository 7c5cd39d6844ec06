package node

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// BenchmarkRelay is Data from one runtime to another through the node, 64 payloads a packet, as a stub sends them under
// load.
func BenchmarkRelay(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			n := start(b, Options{})
			carry(b, n.join(b, 1), n.join(b, 2), size)
		})
	}
}

// BenchmarkRelayBetweenNodes is BenchmarkRelay between two nodes at an external NATS, whose frames are authenticated.
func BenchmarkRelayBetweenNodes(b *testing.B) {
	url := cluster(b, b.TempDir(), 0).ClientURL()
	one, two := start(b, Options{NATS: url, NATSKey: testSecret}), start(b, Options{NATS: url, NATSKey: testSecret})
	carry(b, one.join(b, 1), two.join(b, 2), 1024)
}

// carry measures Data from alice to bob. At most 8 packets are on the way, so that no queue fills, and bob answers now and
// then, as sessions do all the time.
func carry(b *testing.B, alice, bob *client, size int) {
	const batch, answer = 64, 4
	payloads := make([][]byte, batch)
	for i := range payloads {
		payloads[i] = bytes.Repeat([]byte("x"), size)
	}
	packet, back := wire.AppendData(nil, bob.runtime, payloads...), wire.AppendData(nil, alice.runtime, make([][]byte, batch*answer/32)...)
	acquaint(alice, bob)
	window := make(chan struct{}, 8)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for i := 0; i < b.N; i += batch {
			window <- struct{}{}
			alice.write(packet)
		}
	}()
	for i := 0; i < b.N; i += batch {
		if kind, _ := bob.frame(); kind != wire.KindData {
			b.Error("got frame", kind)
			return
		}
		if i/batch%answer == 0 {
			bob.write(back)
		}
		<-window
	}
}

// BenchmarkFanOut is one update to a publication that 1000 runtimes subscribe to.
func BenchmarkFanOut(b *testing.B) {
	n := start(b, Options{})
	alice := n.join(b, 1)
	object := alice.allocate(`{"scheme":"comm"}`)[0]
	const count = 1000
	observers := make([]*client, count)
	for i := range observers {
		observers[i] = n.join(b, 100+i)
		observers[i].must(message.Subscribe, manager, fmt.Sprintf(`{"subscribe":["%s/changes"]}`, object))
	}
	update := message.Message{ID: message.NumberID(1), Type: message.Update, From: object, To: object.Join("changes"), Body: []byte(`{"value":1}`)}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		alice.send(update)
		for _, o := range observers {
			o.message()
		}
	}
}
