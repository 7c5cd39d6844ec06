package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/protofly/protofly/sdk/p2p"
)

// channel is a p2p.Channel on one QUIC stream.
type channel struct {
	*p2p.PromptStreamChannel
	arrival
	on     *streamConn
	ledger ledger // used by Transport.watch
}

func newChannel(a arrival, silence time.Duration) *channel {
	w := &streamConn{arrival: a, silence: silence}
	return &channel{PromptStreamChannel: p2p.NewPromptStreamChannel(w, p2p.StreamOptions{Name: "quic", Lengths: p2p.VarintLengths}), arrival: a, on: w}
}

// streamConn implements p2p.PromptConn on the stream.
type streamConn struct {
	arrival
	silence time.Duration // after which the peer is dead
	read    atomic.Uint64 // bytes
}

func (w *streamConn) Read(b []byte) (int, error) {
	n, err := w.stream.Read(b)
	w.read.Add(uint64(n))
	return n, w.why(err)
}

func (w *streamConn) Write(b []byte) (int, error) {
	n, err := w.stream.Write(b)
	return n, w.why(err)
}

// TryWrite returns true if the stream has copied all of b.
func (w *streamConn) TryWrite(b []byte) bool { return w.stream.TryWriteAll(b) == nil }

func (w *streamConn) SetReadDeadline(t time.Time) error  { return w.stream.SetReadDeadline(t) }
func (w *streamConn) SetWriteDeadline(t time.Time) error { return w.stream.SetWriteDeadline(t) }

// Close ends the connection at once. Data that was not sent yet is lost.
func (w *streamConn) Close() error {
	w.close(codeClosed, "")
	return nil
}

// Abort ends the connection because the peer has broken the protocol of frames.
func (w *streamConn) Abort(error) { w.close(codeBroken, "a frame breaks the protocol") }

// errPeerClosed is the end of a connection that the other side has closed, maybe in the middle of a frame.
var errPeerClosed = fmt.Errorf("quic: the other side has closed the channel: %w", io.EOF)

// why converts an error of the stream to one of the channel. It wraps io.EOF if the other side closed the channel.
func (w *streamConn) why(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	var application *quic.ApplicationError
	var idle *quic.IdleTimeoutError
	var protocol *quic.TransportError
	switch {
	case errors.As(err, &application) && application.Remote && application.ErrorCode == codeClosed:
		return errPeerClosed
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.As(err, &application) && !application.Remote && application.ErrorCode == codeClosed:
		return fmt.Errorf("quic: the channel is closed: %w", net.ErrClosed)
	case errors.As(err, &application) && !application.Remote && application.ErrorCode == codeBroken, errors.As(err, &protocol) && !protocol.Remote && violation(protocol.ErrorCode):
		return fmt.Errorf("quic: %w: %w", p2p.ErrBroken, err)
	case errors.As(err, &idle):
		return fmt.Errorf("quic: the peer is dead: nothing came from %s for %v: %w", w.conn.RemoteAddr(), w.silence, err)
	default:
		return fmt.Errorf("quic: the channel to %s broke: %w", w.conn.RemoteAddr(), err)
	}
}

// violation tells whether an error that this side has raised is caused only by a peer that breaks the QUIC protocol.
func violation(code quic.TransportErrorCode) bool {
	switch code {
	case quic.FlowControlError, quic.StreamLimitError, quic.StreamStateError, quic.FinalSizeError, quic.FrameEncodingError,
		quic.ProtocolViolation, quic.ConnectionIDLimitError, quic.CryptoBufferExceeded:
		return true
	}
	return false
}
