// Hostile-dialer begins QUIC handshakes with a runtime's QUIC plug-in as fast as it can, and completes none of them. It is for
// tests alone, and attacks only loopback addresses. Its first line of output says that it attacks, its last one how
// many handshakes it began.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	limit   = 10 * time.Minute
	workers = 64
	patient = 200 * time.Millisecond // how long one handshake is kept open
)

func main() {
	target := flag.String("target", "", "address and port of the plug-in's socket")
	protocol := flag.String("alpn", "protofly-p2p/1", "application protocol that is asked for")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, limit)
	defer cancel()
	if err := run(ctx, *target, *protocol); err != nil {
		fmt.Fprintln(os.Stderr, "hostile-dialer:", err)
		os.Exit(1)
	}
}

// deaf is a socket that sends but receives nothing: each handshake stays half open at the other end.
type deaf struct{ net.PacketConn }

func (d deaf) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		if _, _, err := d.PacketConn.ReadFrom(p); err != nil {
			return 0, nil, err
		}
	}
}

func run(ctx context.Context, target, protocol string) error {
	at, err := netip.ParseAddrPort(target)
	if err != nil {
		return fmt.Errorf("-target: %w", err)
	}
	if !at.Addr().IsLoopback() {
		return fmt.Errorf("-target %s: only a loopback address is attacked", target)
	}
	fmt.Printf("attacking %s: half-open\n", target)
	var tried atomic.Uint64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				dial(ctx, net.UDPAddrFromAddrPort(at), protocol)
				tried.Add(1)
			}
		})
	}
	wg.Wait()
	fmt.Printf("tried %d\n", tried.Load())
	return nil
}

// dial begins one handshake, from a port of its own.
func dial(ctx context.Context, to *net.UDPAddr, protocol string) {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: to.IP})
	if err != nil {
		<-ctx.Done()
		return
	}
	defer func() { _ = socket.Close() }()
	conn, err := quic.Dial(ctx, deaf{socket}, to, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}, &quic.Config{})
	if err == nil {
		_ = conn.CloseWithError(0, "")
	}
}
