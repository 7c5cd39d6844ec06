package load

import (
	"bytes"
	"fmt"
	"strconv"
)

// Kinds of message.
const (
	Data   = 'd' // counted by the receiver; numbers go up by one from 0, and begin again at 0 at any time
	End    = 'e' // answered with a Count
	Count  = 'c' // the answer: its number is how many Data came since the last End
	Ping   = 'p' // answered with an Echo of the same size and number
	Echo   = 'r'
	Broken = 'x' // the answer to an End if messages were lost, doubled or out of order
)

// Every message begins with head, then its number in digits, then tail and padding.
const (
	head    = `{"k":"d","n":"`
	kindAt  = 6
	digits  = 19
	tail    = `","p":"`
	closing = `"}`

	// MinSize is the size of the smallest message.
	MinSize = len(head) + digits + len(tail) + len(closing)
)

// Text is a message of size bytes: a JSON object. size is at least [MinSize], number below 1e19.
func Text(kind byte, number uint64, size int) []byte {
	b := make([]byte, 0, size)
	b = append(b, head...)
	b[kindAt] = kind
	b = fmt.Appendf(b, "%0*d", digits, number)
	b = append(b, tail...)
	b = append(b, bytes.Repeat([]byte("p"), size-MinSize)...)
	return append(b, closing...)
}

// Parse reads a message's kind and number.
func Parse(b []byte) (kind byte, number uint64, err error) {
	if len(b) < MinSize {
		return 0, 0, fmt.Errorf("a message of %d bytes: want %d or more", len(b), MinSize)
	}
	number, err = parseDigits(b[len(head) : len(head)+digits])
	return b[kindAt], number, err
}

// parseDigits allocates nothing, unlike strconv on bytes.
func parseDigits(b []byte) (n uint64, err error) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q: %w", b, strconv.ErrSyntax)
		}
		n = 10*n + uint64(c-'0')
	}
	return n, nil
}
