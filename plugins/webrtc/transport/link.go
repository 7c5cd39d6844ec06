package transport

import (
	"context"
	"crypto"
	_ "crypto/sha256" // the hashes of fingerprints
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/pion/dtls/v2"
	"github.com/pion/ice/v2"
	"github.com/pion/sctp"

	"github.com/protofly/protofly/sdk/p2p"
)

// hashes are those that a fingerprint may be of.
var hashes = map[string]crypto.Hash{"sha-256": crypto.SHA256, "sha-384": crypto.SHA384, "sha-512": crypto.SHA512}

// link is what a channel runs over: ICE, DTLS above it, SCTP above that.
type link struct {
	agent *ice.Agent
	once  sync.Once

	mu    sync.Mutex
	assoc *sctp.Association // nil until there is one
}

// carry notes the association, which shut closes.
func (l *link) carry(a *sctp.Association) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.assoc = a
}

// shut ends the link and waits for what it has started. Whoever reads or writes it is freed.
func (l *link) shut() {
	l.mu.Lock()
	a := l.assoc
	l.mu.Unlock()
	if a != nil {
		_ = a.Close()
	}
	l.cut()
}

// cut ends the way to the peer, and waits for what it has started.
func (l *link) cut() { l.once.Do(func() { _ = l.agent.GracefulClose() }) }

// watch tells one of the end of a link: who sets it up, and then whose it is. The first reason counts.
type watch struct {
	mu   sync.Mutex // not held while one is told
	why  error
	tell func(error)
}

// end is told why the link has ended.
func (w *watch) end(why error) {
	w.mu.Lock()
	first := w.why == nil
	if first {
		w.why = why
	}
	tell := w.tell
	w.mu.Unlock()
	if first {
		tell(why)
	}
}

// pass has another told, at once if the link has ended.
func (w *watch) pass(tell func(error)) {
	w.mu.Lock()
	w.tell = tell
	why := w.why
	w.mu.Unlock()
	if why != nil {
		tell(why)
	}
}

// establish sets up what the channel runs over, and the channel.
func (s *setup) establish(ctx context.Context, remote remoteDescription) error {
	client, err := s.role(remote)
	if err != nil {
		return err
	}
	start := s.link.agent.Accept
	if s.peer.Role == p2p.Requester { // whose word counts about which pair of addresses is used
		start = s.link.agent.Dial
	}
	conn, err := start(ctx, remote.ufrag, remote.password)
	if err != nil {
		return endOf(ctx, fmt.Errorf("no pair of addresses works: %w", err))
	}
	uncut := context.AfterFunc(ctx, s.link.cut) // the library's reads and writes below heed nothing else
	below := &records{Conn: conn, fail: s.watch.end, close: s.link.cut}
	secured, err := s.secure(ctx, below, client, remote.fingerprints)
	if err != nil {
		return endOf(ctx, fmt.Errorf("DTLS: %w", err))
	}
	below.settled.Store(true)
	s.t.mux.proven(s.peer)
	g := newGuard(secured, streamOf(s.peer.Role, client), s.watch.end, s.t.weigh)
	a, err := sctp.ClientContext(ctx, sctp.Config{
		NetConn: g, MaxReceiveBufferSize: receiveBuffer, LoggerFactory: s.t.loggers,
		EnableZeroChecksum: true, // DTLS leaves nothing for a checksum to find (RFC 9653); used where the peer knows it too
	})
	if err != nil {
		_ = secured.Close()
		return endOf(ctx, fmt.Errorf("SCTP: %w", err))
	}
	s.link.carry(a)
	stream, err := s.stream(a, g)
	if !uncut() {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	s.opened <- opened{stream, g}
	return nil
}

// opened is the data channel of a set-up.
type opened struct {
	stream *sctp.Stream
	guard  *guard
}

// endOf is the end of ctx where that is why something has failed.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// role tells whether this side is DTLS's client. The Handler is, where the Requester leaves it the choice.
func (s *setup) role(remote remoteDescription) (client bool, err error) {
	switch {
	case remote.setup == "passive":
		return true, nil
	case remote.setup == "active":
		return false, nil
	case s.peer.Role == p2p.Handler:
		return true, nil
	case remote.setup == "":
		return false, nil
	}
	return false, fmt.Errorf("the answer leaves open who begins with DTLS: setup %q", remote.setup)
}

// streamOf is the stream of the one data channel, which the Requester opens: a client of DTLS uses even numbers, a server
// odd ones (RFC 8832).
func streamOf(role p2p.Role, client bool) uint16 {
	if (role == p2p.Requester) == client {
		return 0
	}
	return 1
}

// secure does the handshake of DTLS, with whoever has the certificate that was signalled.
func (s *setup) secure(ctx context.Context, conn net.Conn, client bool, of []fingerprint) (net.Conn, error) {
	config := &dtls.Config{
		Certificates: []tls.Certificate{s.t.certificate},
		CipherSuites: []dtls.CipherSuiteID{
			dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, dtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		},
		// There are no media, but other implementations want that it is agreed how they would be encrypted.
		SRTPProtectionProfiles: []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80},
		ClientAuth:             dtls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // the certificate is the one of the fingerprint, whoever has signed it
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			return checkCertificate(raw, of)
		},
		ExtendedMasterSecret: dtls.RequireExtendedMasterSecret,
		FlightInterval:       handshakeRetry,
		LoggerFactory:        s.t.loggers,
	}
	if client {
		return dtls.ClientWithContext(ctx, conn, config)
	}
	return dtls.ServerWithContext(ctx, conn, config)
}

// checkCertificate checks that the peer's certificate has one of the fingerprints.
func checkCertificate(raw [][]byte, of []fingerprint) error {
	if len(raw) == 0 {
		return errors.New("the peer has shown no certificate")
	}
	for _, f := range of {
		if hash := hashes[f.hash]; hash != 0 && strings.EqualFold(f.value, fingerprintOf(hash, raw[0])) {
			return nil
		}
	}
	return errors.New("the certificate is not the one that was signalled")
}

// fingerprintOf writes the hash of a certificate as descriptions have it: "AB:CD:…".
func fingerprintOf(hash crypto.Hash, raw []byte) string {
	h := hash.New()
	h.Write(raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", h.Sum(nil)), " ", ":")
}

// stream opens the one data channel as Requester, or takes it as Handler.
func (s *setup) stream(a *sctp.Association, g *guard) (*sctp.Stream, error) {
	if s.peer.Role == p2p.Requester {
		stream, err := a.OpenStream(g.rules.stream, sctp.PayloadTypeWebRTCBinary)
		if err == nil {
			_, err = stream.WriteSCTP(openMessage(), sctp.PayloadTypeWebRTCDCEP)
		}
		if err != nil {
			return nil, fmt.Errorf("data channel: %w", err)
		}
		return stream, nil
	}
	stream, err := a.AcceptStream()
	if err != nil {
		return nil, fmt.Errorf("data channel: %w", err)
	}
	b := make([]byte, maxOpenMessage)
	n, kind, err := stream.ReadSCTP(b)
	if errors.Is(err, io.ErrShortBuffer) {
		return nil, fmt.Errorf("data channel: the peer opens one with more than %d bytes", maxOpenMessage)
	}
	if err != nil {
		return nil, fmt.Errorf("data channel: %w", err)
	}
	g.took(n)
	if kind != sctp.PayloadTypeWebRTCDCEP {
		return nil, errors.New("the peer sends data before it has opened a data channel")
	}
	if err := checkOpen(b[:n]); err != nil {
		return nil, err
	}
	stream.SetDefaultPayloadType(sctp.PayloadTypeWebRTCBinary)
	if _, err := stream.WriteSCTP([]byte{dcepAck}, sctp.PayloadTypeWebRTCDCEP); err != nil {
		return nil, fmt.Errorf("data channel: %w", err)
	}
	return stream, nil
}
