package apiwire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/sdk/message"
)

// Preamble is what both sides send first on an application's connection. A connection that begins otherwise is gRPC's.
const Preamble = "protofly app\r\n\x00\xff"

// Kind is what a record is.
type Kind uint8

// The kinds of records. Others are ignored: they are a newer version's.
const (
	Control Kind = 0 // an ApplicationFrame or a RuntimeFrame
	Carried Kind = 1 // a message of, or for, a hyperty
	Credits Kind = 2 // see [Credit]
	Returns Kind = 3 // see [Returned]
)

// MaxRecord is the largest record, in bytes after its length.
const MaxRecord = 1<<20 + 64<<10

const (
	recordHead  = 4 + 1 // length, kind
	carriedHead = 4 + 1 // of a Carried record, after that: reference, flags
	flagTrack   = 1
)

// ErrRecord is the error of a stream that is not one of records.
var ErrRecord = errors.New("malformed record")

// AppendControl appends a record with the frame f to b.
func AppendControl(b []byte, f proto.Message) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, byte(Control))
	b, err := proto.MarshalOptions{}.MarshalAppend(b, f)
	if err != nil {
		panic("apiwire: a frame does not encode: " + err.Error()) // a string that is not UTF-8: the caller's error
	}
	return seal(b, at)
}

// AppendMessage appends a record with a message of, or for, the hyperty ref. size is that of the message's binary form.
// track, of a post, says that an Outcome is wanted.
func AppendMessage(b []byte, ref uint32, track bool, m *message.Message) (out []byte, size int) {
	b, size = appendHead(b, ref, track, m)
	return append(b, m.Body...), size
}

// appendHead is [AppendMessage] but for the bytes of the body, which end the record.
func appendHead(b []byte, ref uint32, track bool, m *message.Message) (out []byte, size int) {
	at := len(b)
	b = append(b, 0, 0, 0, 0, byte(Carried))
	b = binary.LittleEndian.AppendUint32(b, ref)
	if track {
		b = append(b, flagTrack)
	} else {
		b = append(b, 0)
	}
	b = m.AppendOwnHead(m.AppendRouting(b))
	size = len(b) + len(m.Body) - at
	binary.LittleEndian.PutUint32(b[at:], uint32(size-4))
	return b, size - recordHead - carriedHead
}

// seal writes the length of the record that begins at at and ends with b.
func seal(b []byte, at int) []byte {
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// Credit lets the other side send more for the hyperty Ref. A message costs one unit and one more for every whole 4 KiB
// of its binary form; at the start each side has 1024 units a hyperty. A message is sent when any credit is left, which
// may make it negative. Responses to the application cost nothing.
//
// From the application it says that so many units may be sent again, which messages were taken: their handler has returned; and how
// many responses were. Without Posts, as from an application of an earlier version, the messages that so many units pay for were
// taken, in the order in which they were sent. From the runtime it says which posts were worked off: those that wait for a receiver
// that is behind do not hold up the others. In each direction the messages of a hyperty, without the responses to the application,
// are numbered 1, 2, 3, … on a stream.
type Credit struct {
	Ref       uint32
	Units     uint32
	Responses uint32
	Posts     []Span
}

// Span is the messages First to First+N-1.
type Span struct{ First, N uint64 }

// AddTo adds a number to spans that are to be sent together.
func AddTo(list []Span, number uint64) []Span {
	if n := len(list); n > 0 && list[n-1].First+list[n-1].N == number {
		list[n-1].N++
		return list
	}
	return append(list, Span{First: number, N: 1})
}

// Returned says that the application has not taken messages that it was sent, and will not: their senders are to be told the code.
// It gives no credit. A runtime of an earlier version ignores it, and tells the senders when the hyperty ends.
type Returned struct {
	Ref   uint32
	Code  uint32
	Posts []Span
}

// Append appends a record with r to b.
func (r *Returned) Append(b []byte) []byte {
	at := len(b)
	c := Credit{Ref: r.Ref, Units: r.Code, Posts: r.Posts}
	b = c.Append(b)
	b[at+recordHead-1] = byte(Returns)
	return b
}

// Parse reads what follows the head of a record.
func (r *Returned) Parse(data []byte) error {
	var c Credit
	if err := c.Parse(data); err != nil {
		return fmt.Errorf("%w: returned", ErrRecord)
	}
	r.Ref, r.Code, r.Posts = c.Ref, c.Units, c.Posts
	return nil
}

// Append appends a record with c to b.
func (c *Credit) Append(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, byte(Credits))
	b = binary.AppendUvarint(b, uint64(c.Ref))
	b = binary.AppendUvarint(b, uint64(c.Units))
	b = binary.AppendUvarint(b, uint64(c.Responses))
	for _, s := range c.Posts {
		b = binary.AppendUvarint(b, s.First)
		b = binary.AppendUvarint(b, s.N)
	}
	return seal(b, at)
}

// Parse reads what follows the head of a record; it uses the memory that Posts has.
func (c *Credit) Parse(data []byte) error {
	var bad bool
	next := func() uint64 {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			bad, data = true, nil
			return 0
		}
		data = data[n:]
		return v
	}
	small := func() uint32 {
		v := next()
		bad = bad || v > 1<<32-1
		return uint32(v)
	}
	c.Ref, c.Units, c.Responses, c.Posts = small(), small(), small(), c.Posts[:0]
	for len(data) > 0 && !bad {
		c.Posts = append(c.Posts, Span{next(), next()})
	}
	if bad {
		return fmt.Errorf("%w: credit", ErrRecord)
	}
	return nil
}

// Record is one record of a stream.
type Record struct {
	Kind  Kind
	Ref   uint32 // of a Carried one
	Track bool   // of a Carried one
	// Data is the frame, the message's binary form, or the credit. That of a message is the caller's; that of others
	// changes with the next record.
	Data []byte
}

// Memory of a [Reader].
const (
	readBuffer = 64 << 10
	blockSize  = Unit // a short message keeps no more memory alive than it costs of the window
	ownSize    = blockSize / 4
)

// Reader reads records. Many come with one call of the system; short messages share memory.
type Reader struct {
	r     *bufio.Reader
	block []byte // what is left of the memory for messages
	other []byte // the data of the last record that was not a message
}

// NewReader makes a Reader of a stream.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, readBuffer)} }

// Preamble reads the other side's preamble. It returns false if that is not [Preamble].
func (r *Reader) Preamble() (bool, error) {
	var text [len(Preamble)]byte
	_, err := io.ReadFull(r.r, text[:])
	return string(text[:]) == Preamble, err
}

// More tells whether more has been read already, at least the beginning of a record.
func (r *Reader) More() bool { return r.r.Buffered() > 0 }

// Next reads the next record. The error is that of the stream, io.EOF at its end, or wraps [ErrRecord].
func (r *Reader) Next() (Record, error) {
	head, err := r.r.Peek(recordHead)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return Record{}, err
	}
	size := int(min(binary.LittleEndian.Uint32(head), MaxRecord+1))
	if size == 0 || size > MaxRecord {
		return Record{}, fmt.Errorf("%w: of %d bytes, 1 to %d are allowed", ErrRecord, binary.LittleEndian.Uint32(head), MaxRecord)
	}
	rec := Record{Kind: Kind(head[4])}
	_, _ = r.r.Discard(recordHead)
	size--
	if rec.Kind != Carried {
		if cap(r.other) < size {
			r.other = make([]byte, size)
		}
		rec.Data = r.other[:size]
		if cap(r.other) > ownSize {
			r.other = nil
		}
		_, err = io.ReadFull(r.r, rec.Data)
		return rec, cut(err)
	}
	if size < carriedHead {
		return Record{}, fmt.Errorf("%w: a message of %d bytes", ErrRecord, size)
	}
	if head, err = r.r.Peek(carriedHead); err != nil {
		return Record{}, cut(err)
	}
	rec.Ref, rec.Track = binary.LittleEndian.Uint32(head), head[4]&flagTrack != 0
	_, _ = r.r.Discard(carriedHead)
	rec.Data = r.memory(size - carriedHead)
	_, err = io.ReadFull(r.r, rec.Data)
	return rec, cut(err)
}

// memory returns n bytes that no other record uses.
func (r *Reader) memory(n int) []byte {
	if n > ownSize {
		return make([]byte, n)
	}
	if n > len(r.block) {
		r.block = make([]byte, blockSize)
	}
	b := r.block[:n:n]
	r.block = r.block[n:]
	return b
}

// cut is the error of a record that ends too early.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
