package wire

import (
	"encoding/binary"
	"strings"

	"github.com/protofly/protofly/sdk/message"
)

// The kinds of records.
const (
	RecordTaken    = 1 // a report: what became of messages of the receiver
	RecordAnnounce = 2 // the messages behind it may come from an address
	recordEnded    = 3 // takes an announcement back
	RecordRefused  = 4 // a report: which messages of the receiver were refused, and why; their senders are to be told there
)

const (
	maxRecord   = 16 << 10 // bytes of a record's body that are read
	reportBytes = 2 << 10  // bytes of spans that a report is filled with
	MaxWhy      = 512      // bytes of the reason of a refusal
)

// Span is the numbers from a up to b, b not included.
type Span struct{ A, B uint64 }

// AppendReport appends a record that says of the first n spans, as many as fit, that they were settled with that code by
// the runtime whose messages they are. Spans rise and do not overlap.
func AppendReport(b []byte, incarnation uint64, code int, spans []Span) (record []byte, n int) {
	var room [2*binary.MaxVarintLen32 + reportBytes + 64]byte
	body := binary.BigEndian.AppendUint64(room[:0], incarnation)
	body = binary.AppendUvarint(body, uint64(code))
	body, n = appendSpans(body, spans)
	b = binary.AppendUvarint(append(b, RecordTaken), uint64(len(body)))
	return append(b, body...), n
}

// AppendRefusal is AppendReport for messages that were refused, because of why: at most MaxWhy bytes.
func AppendRefusal(b []byte, incarnation uint64, code int, why string, spans []Span) (record []byte, n int) {
	body := binary.BigEndian.AppendUint64(make([]byte, 0, reportBytes+MaxWhy+64), incarnation)
	body = binary.AppendUvarint(body, uint64(code))
	body = binary.AppendUvarint(body, uint64(len(why)))
	body, n = appendSpans(append(body, why...), spans)
	b = binary.AppendUvarint(append(b, RecordRefused), uint64(len(body)))
	return append(b, body...), n
}

// appendSpans appends the first n spans, as many as fit.
func appendSpans(body []byte, spans []Span) (_ []byte, n int) {
	for end := uint64(0); n < len(spans) && len(body) < reportBytes; n++ {
		body = binary.AppendUvarint(body, spans[n].A-end)
		body = binary.AppendUvarint(body, spans[n].B-spans[n].A)
		end = spans[n].B
	}
	return body, n
}

// ParseReport reads a record that is a report; ok is false where it is another kind. Spans rise and do not overlap.
func ParseReport(record []byte) (incarnation uint64, code int, spans []byte, ok bool, err error) {
	return parseReport(record, RecordTaken)
}

// ParseRefusal is ParseReport for a refusal.
func ParseRefusal(record []byte) (incarnation uint64, code int, why string, spans []byte, ok bool, err error) {
	incarnation, code, rest, ok, err := parseReport(record, RecordRefused)
	if !ok || err != nil {
		return 0, 0, "", nil, ok, err
	}
	length, n := binary.Uvarint(rest)
	if n <= 0 || length > uint64(len(rest)-n) {
		return 0, 0, "", nil, true, ErrShort
	}
	if length > MaxWhy || code < 300 {
		return 0, 0, "", nil, true, ErrFields
	}
	rest = rest[n:]
	return incarnation, code, strings.ToValidUTF8(string(rest[:length]), "?"), rest[length:], true, nil
}

func parseReport(record []byte, want uint64) (incarnation uint64, code int, rest []byte, ok bool, err error) {
	kind, n := binary.Uvarint(record)
	length, l := binary.Uvarint(record[max(n, 0):])
	if n <= 0 || l <= 0 || kind != want {
		return 0, 0, nil, false, nil
	}
	body := record[n+l:]
	if uint64(len(body)) != length || length < 8 {
		return 0, 0, nil, true, ErrShort
	}
	c, n := binary.Uvarint(body[8:])
	if n <= 0 || c < 200 || c > 999 {
		return 0, 0, nil, true, ErrFields
	}
	return binary.BigEndian.Uint64(body), int(c), body[8+n:], true, nil
}

// NextSpan takes the first span off spans; before is the end of the one before it.
func NextSpan(spans []byte, before uint64) (s Span, rest []byte, err error) {
	gap, n := binary.Uvarint(spans)
	if n <= 0 {
		return s, nil, ErrShort
	}
	size, m := binary.Uvarint(spans[n:])
	if m <= 0 {
		return s, nil, ErrShort
	}
	if gap > MaxNumber || size == 0 || size > MaxNumber || before+gap+size > MaxNumber || before+gap == 0 {
		return s, nil, ErrFields
	}
	return Span{before + gap, before + gap + size}, spans[n+m:], nil
}

// Claim is what a runtime says of an address: that it is its own from now on, or not any more.
type Claim struct {
	Address message.URL
	Ended   bool
}

// Record is the claim as a record of the session.
func (c Claim) Record() []byte {
	kind := byte(RecordAnnounce)
	if c.Ended {
		kind = recordEnded
	}
	record := binary.AppendUvarint(append(make([]byte, 0, len(c.Address)+8), kind), uint64(len(c.Address)))
	return append(record, c.Address...)
}

// ParseClaim reads a record; ok is false where it is of another kind, or none.
func ParseClaim(record []byte) (c Claim, ok bool) {
	kind, n := binary.Uvarint(record)
	length, l := binary.Uvarint(record[max(n, 0):])
	if n <= 0 || l <= 0 || kind != RecordAnnounce && kind != recordEnded || uint64(len(record)-n-l) != length || length > message.MaxURL {
		return c, false
	}
	address, err := message.ParseURL(string(record[n+l:]))
	return Claim{address, kind == recordEnded}, err == nil
}
