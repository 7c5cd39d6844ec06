package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/protofly/protofly/plugins/internal/hostilepeer"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

const alpn = "protofly-p2p/1"

// flooder is a transport that connects as Requester, with the unchanged library. Its connections attack, each with the next kind
// of attack.
type flooder struct {
	p2p.Transport
	hostilepeer.Options
	live atomic.Uint64 // number of connections that were live
}

// description is one side's description.
type description struct {
	Transport   string `json:"transport"`
	Version     int    `json:"version"`
	Certificate string `json:"certificate"`
	Token       string `json:"token"`
	Candidates  []struct {
		Address string `json:"address"`
	} `json:"candidates"`
}

// Connect sets up one connection as an honest peer does.
func (f *flooder) Connect(ctx context.Context, peer p2p.Peer, s p2p.Signals) (p2p.Channel, error) {
	if peer.Role != p2p.Requester {
		return nil, errors.New("hostile-peer: it attacks, and is not attacked")
	}
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(certificate.Certificate[0])
	mine := description{Transport: "quic", Version: 1, Certificate: hex.EncodeToString(hash[:]), Token: hex.EncodeToString(hash[:16])}
	if err := s.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: message.Encode(mine)}); err != nil {
		return nil, err
	}
	one, err := s.Recv(ctx)
	if err != nil {
		return nil, err
	}
	var theirs description
	if err := json.Unmarshal(one.Value, &theirs); err != nil {
		return nil, err
	}
	token, err := hex.DecodeString(theirs.Token)
	if err != nil {
		return nil, err
	}
	err = errors.New("hostile-peer: the peer has no loopback address")
	for _, c := range theirs.Candidates {
		at, bad := netip.ParseAddrPort(c.Address)
		if bad != nil || !at.Addr().IsLoopback() {
			continue
		}
		var won *channel
		if won, err = f.dial(ctx, at, certificate, token); err == nil {
			return won, nil
		}
	}
	return nil, err
}

func newCertificate() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	form := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &form, &form, public, private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}

// dial makes the connection and waits until the Handler has accepted it.
func (f *flooder) dial(ctx context.Context, at netip.AddrPort, certificate tls.Certificate, token []byte) (*channel, error) {
	knock := sha256.Sum256(append([]byte("protofly quic knock"), token...))
	conn, err := quic.DialAddr(ctx, at.String(), &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true,
		NextProtos: []string{alpn, "protofly-p2p/" + hex.EncodeToString(knock[:16])},
	}, &quic.Config{MaxIncomingStreams: -1, MaxIncomingUniStreams: -1})
	if err != nil {
		return nil, err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err == nil {
		_, err = stream.Write(token)
	}
	var answer [1]byte
	if err == nil {
		_, err = io.ReadFull(stream, answer[:])
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hostile-peer: not let in at %s: %w", at, err), conn.CloseWithError(0, ""))
	}
	return &channel{f: f, conn: conn, stream: stream}, nil
}
