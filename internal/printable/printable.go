// Package printable makes text that strangers wrote safe to show: on a terminal, which obeys escape sequences, and in a
// log, of which each line is to have one author. What is not printable is shown as its escape, such as \u001b, so that a
// reader sees what was sent and the text within a JSON string keeps its meaning.
package printable

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line is s on one line: line breaks and tabs become spaces, and every other rune that is not printable (controls, the
// C1 range, bidirectional overrides, invalid UTF-8) its escape. Printable text is returned as it is.
func Line(s string) string {
	return line(s, -1)
}

// Cut is [Line] of at most limit bytes of s, with "…" behind what was cut.
func Cut(s string, limit int) string {
	return line(s, limit)
}

func line(s string, limit int) string {
	cut := limit >= 0 && len(s) > limit
	if cut {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit]
	}
	if !cut && plain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	for _, r := range s {
		switch {
		case r == '\n', r == '\r', r == '\t':
			b.WriteByte(' ')
		default:
			b.WriteString(shown(r))
		}
	}
	if cut {
		b.WriteString("…")
	}
	return b.String()
}

// plain tells whether s needs no change: the common case is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// shown is r if it is printable, else its escape.
func shown(r rune) string {
	if unicode.IsPrint(r) {
		return string(r)
	}
	return escape(r)
}

func escape(r rune) string {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return escape16(high) + escape16(low)
	}
	return escape16(r)
}

func escape16(r rune) string {
	const digits = "0123456789abcdef"
	return string([]byte{'\\', 'u', digits[r>>12&0xf], digits[r>>8&0xf], digits[r>>4&0xf], digits[r&0xf]})
}

// NewWriter returns a writer that passes text on to w with every rune that is not printable, but for line feeds and
// tabs, as its escape. It is for a program's own standard output and error: what strangers wrote into a cell or an
// error stands between the program's own line breaks, for which [Line] is. It is not for binary data. Like most
// writers it is for one goroutine at a time.
func NewWriter(w io.Writer) io.Writer { return &writer{w: w} }

type writer struct {
	w    io.Writer
	part []byte // the beginning of a rune that the next write continues
}

func (w *writer) Write(b []byte) (int, error) {
	n := len(b)
	if len(w.part) > 0 {
		b = append(w.part, b...)
		w.part = nil
	}
	out := make([]byte, 0, len(b)+8)
	for len(b) > 0 {
		if !utf8.FullRune(b) {
			w.part = append([]byte(nil), b...)
			break
		}
		r, size := utf8.DecodeRune(b)
		if r == '\n' || r == '\t' {
			out = append(out, byte(r))
		} else {
			out = append(out, shown(r)...)
		}
		b = b[size:]
	}
	if _, err := w.w.Write(out); err != nil {
		return 0, err
	}
	return n, nil
}
