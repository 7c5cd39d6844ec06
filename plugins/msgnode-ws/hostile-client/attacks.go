package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/protofly/protofly/plugins/msgnode-ws/wire"
	"github.com/protofly/protofly/sdk/message"
)

// attacks are the kinds. Each is called again and again, by several goroutines; n is the number of the goroutine.
var attacks = map[string]func(ctx context.Context, a *attacker, n int) error{
	"http":       slowHTTP,
	"unproven":   unproven,
	"strangers":  strangers,
	"hellos":     hellos,
	"answers":    answers,
	"products":   products,
	"reads":      reads,
	"entries":    entries,
	"subscribe":  subscribe,
	"garbage":    garbage,
	"newdomains": newDomains,
}

func names() []string { return slices.Sorted(maps.Keys(attacks)) }

const (
	held     = 500  // connections that one worker holds at a time
	burst    = 2000 // messages on one connection, before the next runtime comes
	perWrite = 32   // frames in a packet
)

// slowHTTP opens connections and begins requests that never end.
func slowHTTP(ctx context.Context, a *attacker, _ int) error {
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for i := range held {
		c, err := a.dialer.DialContext(ctx, "tcp", a.host)
		if err != nil {
			return err
		}
		open = append(open, c)
		a.tried.Add(1)
		switch i % 3 {
		case 0: // says nothing
		case 1:
			_, err = fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		default: // asks, and keeps the connection
			_, err = fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if err != nil {
			a.failed.Add(1)
		}
	}
	pause(ctx, 2*time.Second)
	return nil
}

// unproven opens WebSockets and proves nothing.
func unproven(ctx context.Context, a *attacker, _ int) error {
	var open []*websocket.Conn
	defer func() {
		for _, ws := range open {
			_ = ws.CloseNow()
		}
	}()
	for range held / 5 {
		ws, err := a.dial(ctx)
		if err != nil {
			return err
		}
		open = append(open, ws)
		a.tried.Add(1)
	}
	pause(ctx, 2*time.Second)
	return nil
}

// flood connects as a fresh runtime of domain and sends packets that next makes, until the node ends it or a burst is
// over.
func (a *attacker) flood(ctx context.Context, domain string, next func(c *client, i int, packet []byte) []byte) error {
	c, err := a.join(ctx, domain)
	if err != nil {
		return err
	}
	var drained sync.WaitGroup
	drained.Go(func() { c.drain(ctx) })
	defer drained.Wait()
	defer c.close()
	var packet []byte
	for i := 0; i < burst && ctx.Err() == nil; {
		packet = packet[:0]
		for range perWrite {
			packet = next(c, i, packet)
			i++
			if len(packet) > wire.PacketGoal/2 {
				break
			}
		}
		if err := c.send(ctx, packet); err != nil {
			return err
		}
		a.tried.Add(1)
	}
	return nil
}

// hello is the beginning of a session's hello: version, kind, the sender's incarnation, and the receiver's.
func (a *attacker) hello(from uint64, step byte, body int) []byte {
	b := []byte{byte(a.version), 1}
	b = binary.BigEndian.AppendUint64(b, from)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = append(b, step)
	random := make([]byte, body)
	rand.Read(random)
	return append(b, random...)
}

// strangers sends the victim frames from runtimes that it does not know, a new one for each burst, of domains that do not
// exist.
func strangers(ctx context.Context, a *attacker, _ int) error {
	small := [][]byte{{0}, {byte(a.version), 2}, a.hello(7, 0, 0), a.hello(8, 0, 1), a.hello(9, 3, 100)}
	return a.flood(ctx, strings.ToLower(rand.Text())+".example", func(_ *client, i int, packet []byte) []byte {
		return wire.AppendData(packet, a.victim, small[i%len(small)])
	})
}

// hellos sends first messages of handshakes, each of which costs the victim some computing; with the victim's cookie as soon as
// it has asked for one.
func hellos(ctx context.Context, a *attacker, _ int) error {
	return a.flood(ctx, a.domain, func(c *client, i int, packet []byte) []byte {
		hello := a.hello(uint64(i)+1, byte(i%2), 40)
		if cookie := c.cookie.Load(); cookie != nil {
			hello = slices.Insert(hello, helloHead, append([]byte{stepWithCookie}, *cookie...)...)
		}
		return wire.AppendData(packet, a.victim, hello)
	})
}

// answers sends the victim's registry responses to no request, in its own node's name and in the sender's.
func answers(ctx context.Context, a *attacker, _ int) error {
	return a.flood(ctx, a.domain, func(c *client, i int, packet []byte) []byte {
		m := message.Message{ID: message.NumberID(uint64(i)), Type: message.Response, From: c.url.Join("registry"), To: a.victim.Join("registry"),
			Body: message.Encode(map[string]any{"code": 200, "value": map[string]string{"url": string(c.url)}})}
		if i%2 == 0 {
			m.From = message.DomainRegistryAddress(a.domain)
		}
		return wire.AppendMessage(packet, &m)
	})
}

// products sends requests whose lists are small, but multiply to many items.
func products(ctx context.Context, a *attacker, _ int) error {
	objects, children := make([]string, 3000), make([]string, 3000)
	for i := range objects {
		objects[i], children[i] = fmt.Sprintf("comm://%s/o%d", a.domain, i), fmt.Sprintf("c%d", i)
	}
	subscribe := message.Encode(map[string]any{"resource": objects, "childrenResources": children})
	allocate := message.Encode(map[string]any{"scheme": "hyperty", "value": map[string]any{"number": 1_000_000}})
	return a.flood(ctx, a.domain, func(c *client, i int, packet []byte) []byte {
		m := message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Subscribe, From: c.url.Join("sm"),
			To: message.URL("domain://msg-node." + a.domain + "/sm"), Body: subscribe}
		if i%8 == 0 {
			m.Type, m.To, m.Body = message.Create, message.URL("domain://msg-node."+a.domain+"/address-allocation"), allocate
		}
		return wire.AppendMessage(packet, &m)
	})
}

// reads sends small look-ups to the Domain Registry that may have large answers.
func reads(ctx context.Context, a *attacker, _ int) error {
	bodies := []any{
		map[string]any{"resource": "/hyperty-runtime/registration/user/*"},
		map[string]any{"criteria": map[string]any{"resources": []string{"chat"}, "dataSchemes": []string{"comm"}}, "resource": "user://" + a.domain + "/alice"},
		map[string]any{"resource": "hyperty://" + a.domain + "/alice"},
	}
	return a.flood(ctx, a.domain, func(c *client, i int, packet []byte) []byte {
		m := message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Read, From: c.url.Join("registry"),
			To: message.DomainRegistryAddress(a.domain), Body: message.Encode(bodies[i%len(bodies)])}
		return wire.AppendMessage(packet, &m)
	})
}

// entries fills the Domain Registry with large entries, under one fresh key after the other.
func entries(ctx context.Context, a *attacker, _ int) error {
	padding := strings.Repeat("x", 50<<10)
	return a.flood(ctx, a.domain, func(c *client, i int, packet []byte) []byte {
		url := message.URL(fmt.Sprintf("hyperty://%s/%s-%d", a.domain, strings.ToLower(rand.Text()), i))
		m := message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Create, From: c.url.Join("registry"),
			To:   message.DomainRegistryAddress(a.domain),
			Body: message.Encode(map[string]any{"value": map[string]any{"url": url, "user": "user://" + a.domain + "/x", "runtime": c.url, "p2pHandler": padding, "expires": 2592000, "status": "live"}})}
		return wire.AppendMessage(packet, &m)
	})
}

// subscribe subscribes to addresses that nobody has.
func subscribe(ctx context.Context, a *attacker, _ int) error {
	return a.flood(ctx, a.domain, func(c *client, i int, packet []byte) []byte {
		list := make([]string, 16)
		for j := range list {
			list[j] = fmt.Sprintf("comm://%s/%s/changes", a.domain, strings.ToLower(rand.Text()))
		}
		m := message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Subscribe, From: c.url.Join("sm"),
			To: message.URL("domain://msg-node." + a.domain + "/sm"), Body: message.Encode(map[string]any{"resources": list})}
		return wire.AppendMessage(packet, &m)
	})
}

// garbage sends what cannot be read: frames that are cut off, wrong lengths, bytes that are not text.
func garbage(ctx context.Context, a *attacker, _ int) error {
	return a.flood(ctx, a.domain, func(c *client, i int, packet []byte) []byte {
		switch i % 4 {
		case 0:
			return wire.Append(packet, wire.KindMessage, []byte{0xff, 0xfe, 0xfd})
		case 1:
			m := message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Update, From: c.url.Join("x\xff"), To: a.victim.Join("registry"), Body: []byte("{\"value\":\"\xff\"}")}
			return wire.AppendMessage(packet, &m)
		case 2:
			return wire.Append(packet, 0x55, make([]byte, 1000))
		}
		if i > burst/2 { // the node may well cut the connection now
			return append(packet, 5, 0xff, 0xff, 0xff, 0xff, 0x7f)
		}
		return packet
	})
}

// newDomains makes the victim look up addresses of domains that do not exist, by requests in their name.
func newDomains(ctx context.Context, a *attacker, _ int) error {
	return a.flood(ctx, strings.ToLower(rand.Text())+".example", func(c *client, i int, packet []byte) []byte {
		packet = wire.AppendData(packet, a.victim, a.hello(uint64(i)+1, 0, 0))
		m := message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Read, From: c.url.Join("registry"), To: a.victim.Join("registry"), Body: []byte(`{}`)}
		return wire.AppendMessage(packet, &m)
	})
}
