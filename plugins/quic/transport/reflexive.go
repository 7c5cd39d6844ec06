package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// A STUN server is asked again after 250, 500 and 1000 ms, and given up 2 s later.
const (
	stunFirstWait = 250 * time.Millisecond
	stunLastWait  = 2 * time.Second
)

// query is one request to a STUN server.
type query struct {
	server netip.AddrPort
	answer chan netip.AddrPort // room for one
}

// reflexive asks all STUN servers in parallel, over IPv4 and IPv6, and sends each address that they return. The channel is
// closed when all have answered or were given up, or ctx has ended. The caller reads it to its end.
func (t *Transport) reflexive(ctx context.Context) <-chan netip.AddrPort {
	found := make(chan netip.AddrPort)
	var work sync.WaitGroup
	for _, name := range t.set.stun {
		work.Go(func() {
			servers, err := t.resolve(ctx, name)
			if err != nil && ctx.Err() == nil {
				t.log.Warn("a STUN server is skipped", "server", name, "error", err)
			}
			for _, server := range servers {
				work.Go(func() { t.askInto(ctx, server, found) })
			}
		})
	}
	go func() {
		work.Wait()
		close(found)
	}()
	return found
}

func (t *Transport) askInto(ctx context.Context, server netip.AddrPort, found chan<- netip.AddrPort) {
	at, err := t.ask(ctx, server)
	if err != nil {
		if ctx.Err() == nil {
			t.log.Warn("a STUN server does not answer", "server", server, "error", err)
		}
		return
	}
	select {
	case found <- at:
	case <-ctx.Done():
	}
}

// resolve looks up "host:port" and returns at most one IPv4 and one IPv6 address that the socket can reach.
func (t *Transport) resolve(ctx context.Context, name string) ([]netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(name)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port: %w", err)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var servers []netip.AddrPort
	for _, want4 := range []bool{true, false} {
		for _, ip := range ips {
			at := netip.AddrPortFrom(ip.Unmap(), uint16(port))
			if at.Addr().Is4() == want4 && t.speaks(at.Addr()) && usable(at) {
				servers = append(servers, at)
				break
			}
		}
	}
	if len(servers) == 0 {
		return nil, errors.New("it has no address that the socket can reach")
	}
	return servers, nil
}

// ask sends binding requests to the server until it answers.
func (t *Transport) ask(ctx context.Context, server netip.AddrPort) (netip.AddrPort, error) {
	id, q := newTransaction(), &query{server: server, answer: make(chan netip.AddrPort, 1)}
	t.mu.Lock()
	t.queries[id] = q
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.queries, id)
		t.mu.Unlock()
	}()
	var sent error
	for wait := stunFirstWait; wait <= stunLastWait; wait *= 2 {
		_, sent = t.quic.WriteTo(id.encodeRequest(), net.UDPAddrFromAddrPort(server))
		select {
		case at := <-q.answer:
			return at, nil
		case <-time.After(wait):
		case <-ctx.Done():
			return netip.AddrPort{}, context.Cause(ctx)
		}
	}
	if sent != nil {
		return netip.AddrPort{}, fmt.Errorf("ask for our address: %w", sent)
	}
	return netip.AddrPort{}, errors.New("no answer in 3.75 s")
}
