package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/protofly/protofly/bench/speed/load"
)

// This file has the baseline of the relay: NATS core through its own server over TLS. NATS core does not promise
// delivery; with the buffers that it has here it loses nothing, which is checked.

const (
	natsPending = 1 << 30
	natsTo      = "bench.receiver"
	natsBack    = "bench.sender"
)

func natsServer(ctx context.Context, _ []string) error {
	cert, err := certificate()
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, MaxPending: natsPending,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, TLSTimeout: 10,
	})
	if err != nil {
		return err
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		return errors.New("the NATS server does not start")
	}
	addr := strings.Replace(s.ClientURL(), "nats://", "tls://", 1)
	return (&load.Child{}).Serve(ctx, addr+" "+base64.StdEncoding.EncodeToString(cert.Certificate[0]), os.Stdin, os.Stdout)
}

// natsConn is a subject to each side as a [load.Conn].
type natsConn struct {
	conn     *nats.Conn
	to, mine string
}

func dialNATS(args []string, to, mine string) (*natsConn, error) {
	addr, der, err := splitAddress(args)
	if err != nil {
		return nil, err
	}
	config, err := trusts(der)
	if err != nil {
		return nil, err
	}
	c, err := nats.Connect(addr, nats.Secure(config), nats.NoReconnect())
	return &natsConn{c, to, mine}, err
}

func (c *natsConn) Send(_ context.Context, b []byte, _ bool) error {
	return c.conn.Publish(c.to, b) // the library flushes by itself when nothing follows
}

func (c *natsConn) Run(ctx context.Context, take func(b []byte)) error {
	sub, err := c.conn.Subscribe(c.mine, func(m *nats.Msg) { take(m.Data) })
	if err != nil {
		return err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	if err := c.conn.Flush(); err != nil {
		return err
	}
	<-ctx.Done()
	c.conn.Close()
	return nil
}

func natsReceiver(ctx context.Context, args []string) error {
	c, err := dialNATS(args, natsBack, natsTo)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer(ctx, c, say)
	}()
	err = (&load.Child{}).Serve(ctx, "", os.Stdin, os.Stdout)
	cancel()
	<-done
	return err
}

func natsSender(ctx context.Context, args []string) error {
	c, err := dialNATS(args, natsTo, natsBack)
	if err != nil {
		return err
	}
	return serveSender(ctx, c, load.Child{})
}
