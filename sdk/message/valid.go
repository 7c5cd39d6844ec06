package message

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth is how deep objects and lists may be nested in a body: as deep as encoding/json reads.
const maxDepth = 10_000

// validJSON is encoding/json.Valid: the same answer for every text, in a small part of the time for a body of strings. It
// allocates nothing, and nesting costs it one bit a level.
//
// A body is checked with every message that comes from outside, whoever reads it later, so this is where a message's
// time would go. Strings, which most bodies consist of, are looked at eight bytes at a time. BenchmarkValid compares the two:
// a text of 1 KiB takes 0.1 µs instead of 6 µs (64 times as fast), a body of 85 bytes 0.09 µs instead of 0.27 µs (3 times), lists
// of numbers a quarter to a fifth of the time, and what is worst for it, many escapes or many short members, half.
func validJSON(text []byte) bool {
	var kinds [2]uint64
	valid, deep := scanJSON(text, kinds[:])
	if deep {
		return deepJSON(text)
	}
	return valid
}

// deepJSON is apart so that only a body that is nested deeply pays for the memory.
func deepJSON(text []byte) bool {
	var kinds [(maxDepth + 63) / 64]uint64
	valid, _ := scanJSON(text, kinds[:])
	return valid
}

// scanJSON is validJSON. kinds has a bit for each level of nesting, set for an object, clear for a list; where it has too
// few, deep is true.
func scanJSON(text []byte, kinds []uint64) (valid, deep bool) {
	i, depth, object := skipSpace(text, 0), 0, false // object: what the value is in, if it is in anything
	for i < len(text) {                              // at i a value begins
		switch c := text[i]; {
		case c == '"':
			i = skipString(text, i+1)
		case c-'0' <= 9 || c == '-':
			if i = skipNumber(text, i); depth > 0 && !object {
				i = skipNumbers(text, i)
			}
		case c == '{' || c == '[':
			if depth == min(64*len(kinds), maxDepth) {
				return false, depth < maxDepth
			}
			if i = skipSpace(text, i+1); i < len(text) && text[i] == c+2 { // the closing one: nothing is in it
				i++
				break
			}
			object = c == '{'
			setLevel(kinds, depth, object)
			depth++
			if !object {
				continue
			}
			if i = skipName(text, i); i < 0 {
				return false, false
			}
			continue
		default:
			i = skipWord(text, i)
		}
		if i < 0 {
			return false, false
		}
		// At i it has ended, and perhaps those that it is in.
		for {
			i = skipSpace(text, i)
			if depth == 0 || i == len(text) {
				return depth == 0 && i == len(text), false
			}
			c := text[i]
			i++
			if c == ',' {
				break
			}
			if object && c != '}' || !object && c != ']' {
				return false, false
			}
			depth--
			object = atLevel(kinds, depth-1)
		}
		i = skipSpace(text, i)
		if object {
			if i = skipName(text, i); i < 0 {
				return false, false
			}
		}
	}
	return false, false
}

// setLevel notes whether what is at a level of nesting is an object.
func setLevel(kinds []uint64, level int, object bool) {
	word, bit := &kinds[level/64], uint64(1)<<(level%64)
	*word &^= bit
	if object {
		*word |= bit
	}
}

// atLevel is whether what is at a level of nesting is an object; at level -1 there is nothing.
func atLevel(kinds []uint64, level int) bool {
	return level >= 0 && kinds[level/64]>>(level%64)&1 == 1
}

// The functions below return the place after what they are named for, or -1 where it is not there.

func skipSpace(text []byte, i int) int {
	for i < len(text) && text[i] <= ' ' && isSpace>>text[i]&1 == 1 {
		i++
	}
	return i
}

const isSpace = 1<<' ' | 1<<'\n' | 1<<'\r' | 1<<'\t'

// skipName passes a member's name and colon, and the space behind it.
func skipName(text []byte, i int) int {
	if i >= len(text) || text[i] != '"' {
		return -1
	}
	if i = skipString(text, i+1); i < 0 {
		return -1
	}
	if i = skipSpace(text, i); i >= len(text) || text[i] != ':' {
		return -1
	}
	return skipSpace(text, i+1)
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x80 * eachByte
)

// notPlain marks, in the highest bit of its byte, the first of eight characters that is a quote, a backslash or a control
// character; bytes after that may be marked, too, and the other bits mean nothing. With bit 1 inverted the quote follows
// the control characters, and the space and the exclamation mark come after it: one comparison finds both.
func notPlain(eight uint64) uint64 {
	low := (eight ^ 0x02*eachByte) - 0x21*eachByte
	backslash := (eight ^ '\\'*eachByte) - eachByte
	return (low | backslash) &^ eight
}

// skipString begins behind the opening quote.
func skipString(text []byte, i int) int {
	for {
		if len(text)-i >= 8 && notPlain(binary.LittleEndian.Uint64(text[i:]))&highBits == 0 { // else it is a short one
			i += 8
		}
		for len(text)-i >= 32 {
			b := text[i : i+32]
			all := notPlain(binary.LittleEndian.Uint64(b)) | notPlain(binary.LittleEndian.Uint64(b[8:])) |
				notPlain(binary.LittleEndian.Uint64(b[16:])) | notPlain(binary.LittleEndian.Uint64(b[24:]))
			if all&highBits != 0 {
				break
			}
			i += 32
		}
		for len(text)-i >= 8 {
			if x := notPlain(binary.LittleEndian.Uint64(text[i:])) & highBits; x != 0 {
				i += bits.TrailingZeros64(x) / 8
				break
			}
			i += 8
		}
		for i < len(text) && text[i] >= ' ' && text[i] != '"' && text[i] != '\\' {
			i++
		}
		switch {
		case i >= len(text) || text[i] < ' ':
			return -1
		case text[i] == '"':
			return i + 1
		}
		if i = skipEscape(text, i+1); i < 0 {
			return -1
		}
	}
}

// skipEscape begins behind the backslash.
func skipEscape(text []byte, i int) int {
	if i >= len(text) {
		return -1
	}
	switch text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 > len(text) {
			return -1
		}
		for _, c := range text[i+1 : i+5] {
			if c-'0' > 9 && c|0x20-'a' > 'f'-'a' {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

func skipDigits(text []byte, i int) int {
	for i < len(text) && text[i]-'0' <= 9 {
		i++
	}
	return i
}

func skipNumber(text []byte, i int) int {
	if text[i] == '-' {
		i++
	}
	start := i
	i = skipDigits(text, i)
	if i == start || i > start+1 && text[start] == '0' {
		return -1
	}
	if i < len(text) && (text[i] == '.' || text[i]|0x20 == 'e') {
		return skipFraction(text, i)
	}
	return i
}

// skipNumbers begins behind a number in a list and passes those that follow it without space.
func skipNumbers(text []byte, i int) int {
	for i >= 0 && i+1 < len(text) && text[i] == ',' && (text[i+1]-'0' <= 9 || text[i+1] == '-') {
		i++
		start := i
		for i < len(text) && text[i]-'0' <= 9 {
			i++
		}
		if i == start || i == len(text) || text[i] != ',' || i > start+1 && text[start] == '0' { // no whole number, or the last
			i = skipNumber(text, start)
		}
	}
	return i
}

// skipFraction passes what follows a number's whole part.
func skipFraction(text []byte, i int) int {
	if text[i] == '.' {
		start := i + 1
		if i = skipDigits(text, start); i == start {
			return -1
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		start := i
		if i = skipDigits(text, i); i == start {
			return -1
		}
	}
	return i
}

// skipWord passes true, false or null.
func skipWord(text []byte, i int) int {
	for _, word := range [...]string{"true", "false", "null"} {
		if end := i + len(word); end <= len(text) && string(text[i:end]) == word {
			return end
		}
	}
	return -1
}
