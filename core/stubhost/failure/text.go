package failure

import "strings"

// How long the texts of a plug-in may be, in bytes. They are cut where they come in.
const (
	MaxText    = 1024 // of an error or a status's description
	MaxVersion = 100
)

// Text is text as it may be kept: at most n bytes and what says that it was cut, in UTF-8.
func Text(text string, n int) string {
	if len(text) <= n {
		return strings.ToValidUTF8(text, "?")
	}
	for n > 0 && text[n]&0xc0 == 0x80 { // not within a character
		n--
	}
	return strings.ToValidUTF8(text[:n], "?") + "…"
}
