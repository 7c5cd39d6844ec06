// Package plainjson encodes JSON without escapes for HTML: "<" is one byte of a message's limit, and not six.
package plainjson

import (
	"bytes"
	"encoding/json"
)

// Marshal is [json.Marshal] with "<", ">" and "&" as they are.
func Marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return unescape(b), nil
}

// unescape writes the three characters into b, which it changes, in the place of their escapes.
func unescape(b []byte) []byte {
	if !bytes.Contains(b, []byte(`\u00`)) {
		return b
	}
	out := b[:0]
	for i := 0; i < len(b); {
		if b[i] != '\\' || i+1 >= len(b) {
			out = append(out, b[i])
			i++
			continue
		}
		if b[i+1] == 'u' && i+6 <= len(b) {
			if c := plain(b[i+2 : i+6]); c != 0 {
				out = append(out, c)
				i += 6
				continue
			}
		}
		out = append(out, b[i], b[i+1])
		i += 2
	}
	return out
}

// plain is the character of the four digits of an escape; 0: it stays escaped.
func plain(digits []byte) byte {
	switch string(digits) {
	case "003c", "003C":
		return '<'
	case "003e", "003E":
		return '>'
	case "0026":
		return '&'
	}
	return 0
}
