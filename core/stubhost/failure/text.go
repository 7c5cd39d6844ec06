package failure

import "strings"

// The longest texts of a plug-in, in bytes. Longer ones are cut where they come in.
const (
	MaxText    = 1024 // of an error or a status's description
	MaxVersion = 100
)

// Text returns text cut to n bytes, as valid UTF-8. A text that was cut says so at its end.
func Text(text string, n int) string {
	if len(text) <= n {
		return strings.ToValidUTF8(text, "?")
	}
	for n > 0 && text[n]&0xc0 == 0x80 { // do not cut within a character
		n--
	}
	return strings.ToValidUTF8(text[:n], "?") + "…"
}
