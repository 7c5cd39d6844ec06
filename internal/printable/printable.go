// Package printable makes text that strangers wrote safe to show: on a terminal, which obeys escape sequences, and in a
// log, where such text must not look like a line of its own. It replaces each rune that is not printable by its escape, such as
// \u001b, so that a reader sees what was sent, and text within a JSON string keeps its meaning.
package printable

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line returns s on one line: line breaks and tabs become spaces, and every other rune that is not printable (controls, the
// C1 range, bidirectional overrides, invalid UTF-8) becomes its escape. It returns printable text as it is.
func Line(s string) string {
	return line(s, -1)
}

// Cut returns [Line] of the first limit bytes of s, with "…" at the end if s was cut.
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
	if !cut && isPrintable(s) {
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

// isPrintable tells whether s needs no change. Its fast path is printable ASCII.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// shown returns r if it is printable, else its escape.
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

// NewWriter returns a writer that passes text on to w, with escapes for all runes that are not printable, except line feeds and
// tabs. It is for a program's standard output and standard error. Line feeds pass, since they are the program's own: texts of
// strangers within a line go through [Line] first. It is not for binary data, and for one goroutine at a time.
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
