package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/protofly/protofly/examples/bench/load"
)

// NATS core: a subject for each direction, through a server, everybody over TLS. It promises no delivery; with the
// buffers that it has here it drops nothing, which both sides check.

const (
	natsPending = 1 << 30 // bytes that the server keeps for a client before it takes it for dead
	natsTo      = "bench.receiver"
	natsBack    = "bench.sender"
	natsStart   = 10 * time.Second
)

func natsServer(ctx context.Context, _ []string) error {
	cert, err := certificate()
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, MaxPending: natsPending,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, TLSTimeout: natsStart.Seconds(),
	})
	if err != nil {
		return err
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(natsStart) {
		return errors.New("the NATS server does not start")
	}
	addr := strings.Replace(s.ClientURL(), "nats://", "tls://", 1)
	return (&load.Child{}).Serve(ctx, addr+" "+base64.StdEncoding.EncodeToString(cert.Certificate[0]), os.Stdin, os.Stdout)
}

// natsConn is a [load.Conn] of two subjects.
type natsConn struct {
	conn *nats.Conn
	sub  *nats.Subscription
	to   string
	take func(b []byte)
	runs chan struct{} // closed when take is set
}

// dialNATS connects with the server at addr (its URL, and its certificate in base64) and subscribes.
func dialNATS(args []string, to, mine string) (*natsConn, error) {
	if len(args) != 1 {
		return nil, errors.New("want the server's address")
	}
	addr, text, _ := strings.Cut(args[0], " ")
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the server's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("the server's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	c := &natsConn{to: to, runs: make(chan struct{})}
	c.conn, err = nats.Connect(addr, nats.Secure(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}),
		nats.NoReconnect(), nats.Timeout(natsStart),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { say(fmt.Errorf("NATS: %w", err)) }))
	if err != nil {
		return nil, err
	}
	if err := c.subscribe(mine); err != nil {
		c.conn.Close()
		return nil, err
	}
	return c, nil
}

// subscribe has the server know of the subscription when it returns.
func (c *natsConn) subscribe(mine string) (err error) {
	c.sub, err = c.conn.Subscribe(mine, func(m *nats.Msg) {
		<-c.runs
		c.take(m.Data)
	})
	if err != nil {
		return err
	}
	if err := c.sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	return c.conn.Flush()
}

// Send leaves it to the library to write what nothing follows: it does so at once.
func (c *natsConn) Send(_ context.Context, b []byte, _ bool) error { return c.conn.Publish(c.to, b) }

func (c *natsConn) Run(ctx context.Context, take func(b []byte)) error {
	closed := c.conn.StatusChanged(nats.CLOSED)
	c.take = take
	close(c.runs)
	select {
	case <-ctx.Done():
	case <-closed:
		return fmt.Errorf("the connection with the server ended: %w", c.conn.LastError())
	}
	return nil
}

func natsReceiver(ctx context.Context, args []string) error {
	c, err := dialNATS(args, natsBack, natsTo)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	run := func(ctx context.Context) error { return load.Answer(ctx, c) }
	return beside(ctx, run, func() error { return (&load.Child{}).Serve(ctx, "", os.Stdin, os.Stdout) })
}

func natsSender(ctx context.Context, args []string) error {
	c, err := dialNATS(args, natsTo, natsBack)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	return serveSender(ctx, c)
}

// certificate makes one for a server of this machine.
func certificate() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, public, private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}
