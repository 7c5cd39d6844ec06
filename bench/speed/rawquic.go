package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/protofly/protofly/bench/speed/load"
)

// This file has the baseline of QUIC: quic-go alone, with one stream, no process between, and the windows and socket buffers of our
// plug-in.

const protocol = "bench"

func quicConfig() *quic.Config {
	return &quic.Config{
		MaxIdleTimeout: time.Minute, KeepAlivePeriod: 15 * time.Second,
		InitialStreamReceiveWindow: 1 << 20, MaxStreamReceiveWindow: 8 << 20,
		InitialConnectionReceiveWindow: 3 << 19, MaxConnectionReceiveWindow: 16 << 20,
	}
}

const socketBuffer = 8 << 20

// udpSocket is a socket on the loopback interface with large buffers.
func udpSocket() (*net.UDPConn, error) {
	s, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	_ = s.SetReadBuffer(socketBuffer) // as much as the system allows
	_ = s.SetWriteBuffer(socketBuffer)
	return s, nil
}

func quicReceiver(ctx context.Context, _ []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cert, err := certificate()
	if err != nil {
		return err
	}
	socket, err := udpSocket()
	if err != nil {
		return err
	}
	transport := &quic.Transport{Conn: socket}
	listener, err := transport.Listen(&tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{protocol}}, quicConfig())
	if err != nil {
		return err
	}
	go func() {
		conn, err := listener.Accept(ctx)
		if err != nil {
			return
		}
		stream, err := conn.AcceptStream(ctx)
		if err != nil {
			say(err)
			return
		}
		answer(ctx, load.NewRecords(stream, func() { _ = conn.CloseWithError(0, "") }), say)
	}()
	return (&load.Child{}).Serve(ctx, socket.LocalAddr().String()+" "+base64.StdEncoding.EncodeToString(cert.Certificate[0]), os.Stdin, os.Stdout)
}

// splitAddress takes an address and a certificate out of a receiver's address.
func splitAddress(args []string) (addr string, der []byte, err error) {
	if len(args) != 1 {
		return "", nil, errors.New("want the receiver's address")
	}
	addr, text, _ := strings.Cut(args[0], " ")
	der, err = base64.StdEncoding.DecodeString(text)
	return addr, der, err
}

func quicSender(ctx context.Context, args []string) error {
	addr, der, err := splitAddress(args)
	if err != nil {
		return err
	}
	config, err := trusts(der)
	if err != nil {
		return err
	}
	config.NextProtos = []string{protocol}
	remote, err := net.ResolveUDPAddr("udp4", addr)
	if err != nil {
		return err
	}
	socket, err := udpSocket()
	if err != nil {
		return err
	}
	transport := &quic.Transport{Conn: socket}
	conn, err := transport.Dial(ctx, remote, config, quicConfig())
	if err != nil {
		return err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	return serveSender(ctx, load.NewRecords(stream, func() { _ = conn.CloseWithError(0, "") }), load.Child{})
}
