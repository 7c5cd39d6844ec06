package safefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// magic begins the first line: magic, kind, length of what follows the line, its SHA-256.
const magic = "protofly-file-1"

// ErrDamaged is the error of a file that is not as it was written.
var ErrDamaged = errors.New("damaged")

// Seal is payload with a first line that has its kind, its length and its checksum. kind is a word.
func Seal(kind string, payload []byte) []byte {
	sum := sha256.Sum256(payload)
	return append(fmt.Appendf(nil, "%s %s %d %s\n", magic, kind, len(payload), hex.EncodeToString(sum[:])), payload...)
}

// Unseal returns the payload of a text that [Seal] has made with that kind. sealed is false where the first line is missing: then it
// is a file of an earlier version, and payload is the whole of it. The error wraps [ErrDamaged].
func Unseal(kind string, text []byte) (payload []byte, sealed bool, err error) {
	damaged := func(format string, args ...any) ([]byte, bool, error) {
		return nil, true, fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
	}
	switch {
	case len(text) == 0:
		return damaged("it is empty")
	case bytes.IndexByte(text, 0) >= 0:
		return damaged("there are NUL bytes in it, as after a power failure")
	case len(text) < len(magic) && strings.HasPrefix(magic, string(text)):
		return damaged("it is cut off")
	case !bytes.HasPrefix(text, []byte(magic)):
		return text, false, nil
	}
	line, payload, whole := bytes.Cut(text, []byte("\n"))
	fields := strings.Split(string(line[:min(len(line), 256)]), " ")
	if !whole || len(fields) != 4 {
		return damaged("its first line is cut off or altered")
	}
	if fields[0] != magic || fields[1] != kind {
		return damaged("it is a %.60q %.60q, want a %s", fields[0], fields[1], kind)
	}
	length, err := strconv.Atoi(fields[2])
	if err != nil || length != len(payload) {
		return damaged("it has %d bytes behind its first line instead of %.20s", len(payload), fields[2])
	}
	if sum := sha256.Sum256(payload); fields[3] != hex.EncodeToString(sum[:]) {
		return damaged("its checksum does not hold")
	}
	return payload, true, nil
}
