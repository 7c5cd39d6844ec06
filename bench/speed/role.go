package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/protofly/protofly/bench/speed/load"
	"github.com/protofly/protofly/bench/speed/scale"
	"github.com/protofly/protofly/internal/gcpace"
)

// roles are the functions of this program as a child process. Its command line is then "role", one of these names, and the role's
// arguments.
func roles() map[string]func(ctx context.Context, args []string) error {
	return map[string]func(ctx context.Context, args []string) error{
		"quic-receiver":   quicReceiver,
		"quic-sender":     quicSender,
		"pion-receiver":   pionReceiver,
		"pion-sender":     pionSender,
		"grpc-sender":     grpcSender,
		"grpc-receiver":   grpcReceiver,
		"nats-server":     natsServer,
		"nats-receiver":   natsReceiver,
		"nats-sender":     natsSender,
		"ours-receiver":   oursReceiver,
		"ours-sender":     oursSender,
		"socket-receiver": socketReceiver,
		"socket-sender":   socketSender,
	}
}

// play is main for a child.
func play(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == scale.CrowdArgument {
		return scale.Crowd(ctx, args[1:], os.Stdin, os.Stdout)
	}
	if len(args) < 2 {
		return errors.New("role: which?")
	}
	role, ok := roles()[args[1]]
	if !ok {
		return fmt.Errorf("role %q: there is none", args[1])
	}
	if pacesCollector(args[1]) {
		resting, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop()
		wg.Go(func() { gcpace.Run(resting, gcpace.Room) })
	}
	return role(ctx, args[2:])
}

// pacesCollector tells whether a role paces its garbage collector (package gcpace) as cmd/runtime does. Roles that have a runtime
// do. A baseline is a plain program with Go's defaults.
func pacesCollector(role string) bool { return strings.HasPrefix(role, "ours-") }

// answer is the receiver of a connection.
func answer(ctx context.Context, c load.Conn, failed func(error)) {
	if err := load.Answer(ctx, c); err != nil && ctx.Err() == nil {
		failed(err)
	}
}

// say writes an error of a child to its standard error, which the parent shows if something fails.
func say(err error) { fmt.Fprintln(os.Stderr, err) }

// serveSender runs the driver of a connection until the parent ends it.
func serveSender(ctx context.Context, c load.Conn, child load.Child) error {
	ctx, cancel := context.WithCancel(ctx)
	driver, run := load.Drive(c)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil && ctx.Err() == nil {
			say(err)
		}
	}()
	child.Driver = driver
	err := child.Serve(ctx, "", os.Stdin, os.Stdout)
	cancel()
	<-done
	return err
}

// certificate makes a certificate for a server on this machine. Clients trust exactly this one.
func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// trusts returns a client's configuration that trusts one certificate, given in DER form.
func trusts(der []byte) (*tls.Config, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}, nil
}
