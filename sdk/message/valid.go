package message

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth is how deep arrays and objects may be nested; package json has the same limit.
const maxDepth = 10000

// validJSON tells whether text is one JSON value: what json.Valid does, with eight bytes of a string at a time. Every
// message that comes from another process is checked, and most of most messages is strings.
func validJSON(text []byte) bool {
	var some [32]byte
	open := some[:0] // the brackets that are open
	i := 0
	for {
		// A value.
		if i = space(text, i); i >= len(text) {
			return false
		}
		switch c := text[i]; c {
		case '{', '[':
			if open = append(open, c); len(open) > maxDepth {
				return false
			}
			i = space(text, i+1)
			switch {
			case i >= len(text):
				return false
			case text[i] == c+2: // empty; after it comes what comes after a value
				open = open[:len(open)-1]
				i++
			case c == '[':
				continue
			default:
				if i = key(text, i); i < 0 {
					return false
				}
				continue
			}
		case '"':
			i = stringEnd(text, i+1)
		case 't':
			i = literal(text, i, "true")
		case 'f':
			i = literal(text, i, "false")
		case 'n':
			i = literal(text, i, "null")
		default:
			i = numberEnd(text, i)
		}
		// What comes after it: a comma, or the ends of arrays and objects.
		for {
			if i < 0 {
				return false
			}
			i = space(text, i)
			if len(open) == 0 {
				return i == len(text)
			}
			if i >= len(text) {
				return false
			}
			last := open[len(open)-1]
			if text[i] == last+2 { // ] or }
				open = open[:len(open)-1]
				i++
				continue
			}
			if text[i] != ',' {
				return false
			}
			i++
			if last == '{' {
				i = key(text, space(text, i))
			}
			break
		}
		if i < 0 {
			return false
		}
	}
}

// space is the first place from i on that is no white space.
func space(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// key is the place behind the name at i and its colon; -1: there is none.
func key(text []byte, i int) int {
	if i >= len(text) || text[i] != '"' {
		return -1
	}
	if i = stringEnd(text, i+1); i < 0 {
		return -1
	}
	if i = space(text, i); i >= len(text) || text[i] != ':' {
		return -1
	}
	return i + 1
}

func literal(text []byte, i int, word string) int {
	if len(text)-i < len(word) || string(text[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// stringEnd is the place behind the string whose contents begin at i; -1: it is none.
func stringEnd(text []byte, i int) int {
	for {
		for i+8 <= len(text) {
			w := binary.LittleEndian.Uint64(text[i:])
			quote, escape := w^('"'*ones), w^('\\'*ones)
			// The lowest of these bits belongs to the first byte that is a quote, a backslash or a control character.
			hit := ((w-' '*ones)&^w | (quote-ones)&^quote | (escape-ones)&^escape) & highs
			if hit != 0 {
				i += bits.TrailingZeros64(hit) / 8
				break
			}
			i += 8
		}
		if i >= len(text) {
			return -1
		}
		switch c := text[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i = escapeEnd(text, i+1); i < 0 {
				return -1
			}
		default:
			i++
		}
	}
}

// escapeEnd is the place behind the escape whose backslash is before i; -1: it is none.
func escapeEnd(text []byte, i int) int {
	if i >= len(text) {
		return -1
	}
	switch text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
	default:
		return -1
	}
	if len(text)-i < 5 {
		return -1
	}
	for _, c := range text[i+1 : i+5] {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return -1
		}
	}
	return i + 5
}

// numberEnd is the place behind the number at i; -1: it is none.
func numberEnd(text []byte, i int) int {
	if i < len(text) && text[i] == '-' {
		i++
	}
	if i < len(text) && text[i] == '0' {
		i++
	} else if i = digits(text, i); i < 0 {
		return -1
	}
	if i < len(text) && text[i] == '.' {
		if i = digits(text, i+1); i < 0 {
			return -1
		}
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		i = digits(text, i)
	}
	return i
}

// digits is the place behind the digits at i; -1: there are none.
func digits(text []byte, i int) int {
	from := i
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
