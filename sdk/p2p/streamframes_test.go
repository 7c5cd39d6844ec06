package p2p

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/protofly/protofly/sdk"
)

// chunks gives a stream in pieces of random sizes; as messages where it has them.
type chunks struct {
	left     []byte
	random   *rand.Rand
	messages bool
	next     int // message's size
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	if c.next == 0 {
		c.next = min(1+c.random.IntN(3000), len(c.left))
	}
	if c.messages && len(p) < c.next {
		return 0, io.ErrShortBuffer
	}
	n := copy(p, c.left[:c.next])
	c.left, c.next = c.left[n:], 0
	return n, nil
}

// frames writes frames of the sizes.
func frames(l Lengths, sizes ...int) (stream []byte) {
	for i, n := range sizes {
		stream = append(l.append(stream, n), bytes.Repeat([]byte{byte(i)}, n)...)
	}
	return stream
}

func FuzzStreamFrames(f *testing.F) {
	for _, l := range []Lengths{FixedLengths, VarintLengths} {
		for _, messages := range []bool{false, true} {
			f.Add(frames(l, 3), uint64(1), int(l), messages)
			f.Add(frames(l, 200, 0, 127, 128), uint64(2), int(l), messages)
			f.Add(frames(l, 70000, 5, 3000), uint64(3), int(l), messages)
		}
	}
	f.Add(append(mark(markLife), frames(FixedLengths, 7)...), uint64(4), int(FixedLengths), false)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint64(4), int(VarintLengths), false)
	f.Add([]byte{0x80, 0x00}, uint64(5), int(VarintLengths), false)
	f.Add([]byte{0x80, 0x00, 0, 0}, uint64(5), int(FixedLengths), false)
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64, lengths int, messages bool) {
		l := Lengths(lengths & 1)
		const busy = 8 << 10
		in := frameReader{source: &chunks{left: stream, random: rand.New(rand.NewPCG(seed, 0)), messages: messages}, lengths: l, busy: busy}
		var again []byte
		for {
			frame, ok, err := in.next()
			if ok {
				again = append(l.append(again, len(frame)), frame...)
				continue
			}
			if err == nil {
				err = in.fill()
			}
			if len(in.buf) > max(2*busy, 2*len(stream)+busy) {
				t.Fatalf("%d bytes of memory for a stream of %d", len(in.buf), len(stream))
			}
			if err == io.EOF && len(again) != len(stream) {
				t.Fatalf("%d of %d bytes were cut", len(again), len(stream))
			}
			if err != nil {
				break
			}
		}
		if !bytes.HasPrefix(stream, again) {
			t.Fatal("the frames are not what the stream carried")
		}
	})
}

// Room grows with what comes, in a stream of bytes as of messages, and is given back when little does.
func TestRoomFollowsTraffic(t *testing.T) {
	const busy = 64 << 10
	for _, messages := range []bool{false, true} {
		source := &chunks{random: rand.New(rand.NewPCG(1, 0)), messages: messages}
		in := frameReader{source: source, busy: busy}
		carry := func(stream []byte, size int) {
			t.Helper()
			source.left, source.next = stream, min(size, len(stream))
			for {
				_, ok, err := in.next()
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					continue
				}
				if len(source.left) == 0 {
					return
				}
				if source.next == 0 {
					source.next = min(size, len(source.left))
				}
				if err := in.fill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 2 {
			carry(frames(FixedLengths, 60<<10-fixedLength), 60<<10)
			if len(in.buf) < 60<<10 || len(in.buf) > 2*busy {
				t.Errorf("messages %v: room for %d bytes under traffic", messages, len(in.buf))
			}
			carry(frames(FixedLengths, sdk.MaxFrame), 60<<10)
			if len(in.buf) > 2*(sdk.MaxFrame+busy) {
				t.Errorf("messages %v: room for %d bytes for the largest frame", messages, len(in.buf))
			}
			for range 3 * (keepSpace + 1) {
				carry(frames(FixedLengths, 50), 100)
			}
			if len(in.buf) != firstSpace {
				t.Errorf("messages %v: room for %d bytes when idle", messages, len(in.buf))
			}
		}
	}
}

// A frame's length takes no memory before the frame comes: what is allocated meanwhile is the first buffer, or little more.
func TestAnnouncedFrameTakesNoMemory(t *testing.T) {
	const readers = 10
	for _, l := range []Lengths{FixedLengths, VarintLengths} {
		var sources [readers]*chunks
		for i := range sources {
			sources[i] = &chunks{left: append(l.append(nil, sdk.MaxFrame), 1, 2, 3), random: rand.New(rand.NewPCG(1, 0))}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, s := range sources {
			in := frameReader{source: s, lengths: l, busy: usualSize}
			var err error
			for err == nil {
				if _, _, err = in.next(); err == nil {
					err = in.fill()
				}
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
			if len(in.buf) > firstSpace {
				t.Errorf("the announcement of a frame costs %d bytes", len(in.buf))
			}
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / readers; each > 2*firstSpace {
			t.Errorf("for the announcement of a frame %d bytes are allocated", each)
		}
	}
}

func TestBrokenLengths(t *testing.T) {
	for name, c := range map[string]struct {
		lengths Lengths
		raw     []byte
	}{
		"too long":             {VarintLengths, []byte{0xff, 0xff, 0x7f}},
		"endless":              {VarintLengths, []byte{0xff, 0xff, 0xff, 0xff}},
		"not shortest":         {VarintLengths, []byte{0x80, 0x00}},
		"just too long":        {VarintLengths, VarintLengths.append(nil, sdk.MaxFrame+1)},
		"fixed, just too long": {FixedLengths, FixedLengths.append(nil, sdk.MaxFrame+1)},
		"fixed, a mark":        {FixedLengths, mark(markLife)}, // where none was agreed
	} {
		in := frameReader{source: bytes.NewReader(c.raw), lengths: c.lengths, busy: usualSize}
		if err := in.fill(); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := in.next(); ok || err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
