package transport

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// alpn is the application protocol. Its number changes when the protocol on the stream changes.
const alpn = "protofly-p2p/1"

// maxProtocols is how many application protocols a client may name. Ours names two: alpn, and one that names the set-up.
const maxProtocols = 4

// knock returns the application protocol with which a client names its set-up in its first packet. Anybody on the way can read that
// packet, so it is a digest of the token.
func (t token) knock() string {
	sum := sha256.Sum256(append([]byte("protofly quic knock"), t[:]...))
	return "protofly-p2p/" + hex.EncodeToString(sum[:16])
}

// hash is the SHA-256 of a certificate's DER form.
type hash [sha256.Size]byte

func (h hash) String() string { return hex.EncodeToString(h[:]) }

// errCertificate is why a peer whose certificate was not the signalled one is refused.
var errCertificate = errors.New("the certificate is not the one that was signalled")

// newCertificate makes the certificate of this process. Peers compare only its hash, so its names and dates have no meaning.
func newCertificate() (tls.Certificate, hash, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, hash{}, fmt.Errorf("quic: make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return tls.Certificate{}, hash{}, fmt.Errorf("quic: make a certificate: %w", err)
	}
	form := x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "protofly"},
		NotBefore:    time.Now().Add(-24 * time.Hour),
		NotAfter:     time.Now().AddDate(20, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, &form, &form, public, private)
	if err != nil {
		return tls.Certificate{}, hash{}, fmt.Errorf("quic: make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, sha256.Sum256(der), nil
}

// peerHash returns the hash of the other side's certificate. It must have sent exactly one.
func peerHash(state tls.ConnectionState) (hash, error) {
	if len(state.PeerCertificates) != 1 {
		return hash{}, fmt.Errorf("%d certificates instead of one", len(state.PeerCertificates))
	}
	return sha256.Sum256(state.PeerCertificates[0].Raw), nil
}

// serverTLS is the configuration for incoming connections, from any Requester that a set-up waits for.
func (t *Transport) serverTLS() *tls.Config {
	config := t.tlsConfig(t.expects)
	config.GetConfigForClient = t.greet
	return config
}

// clientTLS is the configuration for a dial to the peer with this certificate, for the set-up to which the peer gave this token.
func (t *Transport) clientTLS(peer hash, setup token) *tls.Config {
	config := t.tlsConfig(func(h hash) bool { return h == peer })
	config.NextProtos = append(config.NextProtos, setup.knock())
	return config
}

func (t *Transport) tlsConfig(known func(hash) bool) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{t.certificate},
		NextProtos:             []string{alpn},
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		// There is no certificate chain to verify. VerifyConnection, which runs in every handshake, compares the hash.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			h, err := peerHash(state)
			if err != nil {
				return err
			}
			if !known(h) {
				return errCertificate
			}
			return nil
		},
	}
}
