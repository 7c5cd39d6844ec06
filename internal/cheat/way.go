package cheat

import (
	"bytes"
	"encoding/binary"
	"sync"
)

// Way has the frames in one direction between two runtimes. It knows that they begin with a head, which is not
// encrypted: version, kind, the incarnations of sender and receiver, and for all kinds but the first epoch and
// counter (core/session/PROTOCOL.md).
type Way struct {
	c *Cheat

	mu   sync.Mutex
	old  [][]byte // earlier frames
	held []byte   // a frame that others overtake
}

// The head of a frame, and what follows it in sealed ones.
const (
	headSize   = 1 + 1 + 8 + 8
	sealedHead = headSize + 4 + 8
	hello      = 1 // the kind that is not sealed
	maxOld     = 64
)

// Way begins a new one.
func (c *Cheat) Way() *Way { return &Way{c: c} }

// tricks are the kinds of cheats with frames.
var tricks = [...]string{"alter", "alter head", "truncate", "drop", "replay", "reorder", "stitch", "inject", "forge frame"}

// Pass takes a frame that is to be carried, and returns those to carry in its place: frame itself, or others that do not alias
// it.
func (w *Way) Pass(frame []byte) (out [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	late := w.held
	out = [][]byte{frame}
	if w.c.Now() {
		trick := tricks[w.c.IntN(len(tricks))]
		if list, done := w.play(trick, frame); done {
			w.c.Count(trick)
			out = list
		}
	}
	if late != nil && len(out) > 0 {
		out, w.held = append(out, late), nil
	}
	w.keep(frame)
	return out
}

// keep remembers some frames: the last ones, and some of long ago.
func (w *Way) keep(frame []byte) {
	if len(w.old) < maxOld {
		w.old = append(w.old, bytes.Clone(frame))
		return
	}
	w.old[w.c.IntN(maxOld)] = bytes.Clone(frame)
}

// play plays a trick; done is false if the frame does not allow it.
func (w *Way) play(trick string, frame []byte) (out [][]byte, done bool) {
	if len(frame) < headSize {
		return nil, false
	}
	copied := bytes.Clone(frame)
	switch trick {
	case "alter":
		from := min(headSize, len(frame)-1)
		w.flip(copied[from:])
		return [][]byte{copied}, true
	case "alter head":
		w.flip(copied[:min(sealedHead, len(frame))])
		return [][]byte{copied, frame}, true
	case "truncate":
		return [][]byte{copied[:1+w.c.IntN(len(copied)-1)]}, true
	case "drop":
		return nil, true
	case "replay":
		if len(w.old) == 0 {
			return nil, false
		}
		return [][]byte{frame, bytes.Clone(w.old[w.c.IntN(len(w.old))])}, true
	case "reorder":
		if w.held != nil {
			return nil, false
		}
		w.held = copied
		return nil, true
	case "stitch":
		if len(w.old) == 0 {
			return nil, false
		}
		other := w.old[w.c.IntN(len(w.old))]
		if len(other) <= sealedHead || len(copied) <= sealedHead {
			return nil, false
		}
		return [][]byte{append(copied[:sealedHead:sealedHead], other[sealedHead:]...), frame}, true
	case "inject":
		return [][]byte{append(copied[:headSize:headSize], w.c.Bytes(1+w.c.IntN(300))...), frame}, true
	case "forge frame":
		forged := w.forge(copied)
		return [][]byte{forged, frame}, forged != nil
	}
	return nil, false
}

// flip alters a byte.
func (w *Way) flip(b []byte) {
	if len(b) > 0 {
		b[w.c.IntN(len(b))] ^= byte(1 + w.c.IntN(255))
	}
}

// forge makes a frame with the head of another one, the next counters, an unencrypted message, and a guessed tag.
func (w *Way) forge(frame []byte) []byte {
	if len(frame) <= sealedHead || frame[1] == hello {
		return nil
	}
	out := bytes.Clone(frame[:sealedHead])
	out[1] = 2 // data
	counter := binary.BigEndian.Uint64(out[headSize+4:])
	binary.BigEndian.PutUint64(out[headSize+4:], counter+uint64(1+w.c.IntN(3)))
	for range 7 { // the fields
		out = append(out, byte(1+w.c.IntN(100)))
	}
	m := w.c.Forgery()
	body := m.AppendBinary(nil)
	out = binary.AppendUvarint(out, uint64(len(body)))
	return append(append(out, body...), w.c.Bytes(16)...)
}
