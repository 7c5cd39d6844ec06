package sender

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/protofly/protofly/core/session/internal/wire"
	"github.com/protofly/protofly/sdk/message"
)

// randomLetter is a message whose routing is one of a few.
func randomLetter(rnd *rand.Rand, n uint64) message.Message {
	size := rnd.IntN(300)
	if rnd.IntN(40) == 0 {
		size = rnd.IntN(20000)
	}
	m := letter(n, size)
	switch rnd.IntN(12) {
	case 0, 1, 2:
		m.To = "hyperty://b.example/z"
	case 3:
		m.Via = []message.URL{"hyperty-runtime://a.example/alice/protostub/node", "hyperty-runtime://a.example/alice/p2prequester/1"}[:1+rnd.IntN(2)]
	case 4:
		m.Source, m.P2P = m.From, message.Yes
	case 5:
		m.ID, m.Body = message.ID{}, nil
	case 6:
		m.Type = message.Response
	}
	return m
}

// unpacked is what a receiver reads in parts: binary forms of messages, and records.
func unpacked(t *testing.T, parser *message.Parser, routing, parts []byte) (list [][]byte, size int) {
	t.Helper()
	if routing != nil {
		parser.Routing(routing)
	}
	for before := len(routing); len(parts) > 0; {
		p, rest, ok := wire.Cut(parts, before)
		if !ok {
			t.Fatalf("no part after %d", len(list))
		}
		parts, before = rest, p.After(before)
		size += p.Size
		if p.Size == 0 {
			list = append(list, p.Own)
			continue
		}
		if p.Routing != nil {
			parser.Routing(p.Routing)
		}
		m, err := parser.Own(p.Own)
		if err != nil {
			t.Fatal(err)
		}
		wire := m.AppendBinary(nil)
		if len(wire) != p.Size {
			t.Fatalf("a message of %d bytes is said to have %d", len(wire), p.Size)
		}
		list = append(list, wire)
	}
	return list, size
}

// TestRing compares the ring with a list, and frames made of it, read from any place, with what was put in.
func TestRing(t *testing.T) {
	short, parts := 0, 0
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r, cost := newRing(), 0
		var parser message.Parser
		var list [][]byte // what is in it from r.base on
		for i := range uint64(300) {
			switch rnd.IntN(4) {
			case 0, 1:
				before, text := r.cost(), []byte(nil)
				if rnd.IntN(10) == 0 {
					text = append([]byte{wire.RecordTaken, 3}, "abc"...)
					r.pushRecord(text, 0)
				} else {
					m := randomLetter(rnd, i)
					text = m.AppendBinary(nil)
					r.push(&m, 0)
					if got, want := r.cost()-before, wire.Cost(uint64(m.RoutingSize()+m.OwnSize()), 1); got != want {
						t.Fatalf("seed %d: a message of %d bytes cost %d, foretold were %d", seed, len(text), got, want)
					}
				}
				list, cost = append(list, text), r.cost()
			case 2:
				n := rnd.IntN(len(list) + 1)
				cost -= r.release(r.base + uint64(n))
				list = list[n:]
			case 3:
				if len(list) == 0 {
					r.free()
					continue
				}
				from, size := r.base+uint64(rnd.IntN(len(list))), rnd.IntN(2000)
				packed, to := r.pack(nil, from, size, wire.MaxNumber)
				want := list[from-r.base : to-r.base]
				if to > from+1 && len(packed) > size {
					t.Fatalf("seed %d: %d parts of %d bytes where %d were wanted", seed, to-from, len(packed), size)
				}
				if to == from+1 && len(packed) != r.complete(from) {
					t.Fatalf("seed %d: a part of %d bytes was said to have %d", seed, len(packed), r.complete(from))
				}
				if same := func(a, b []byte) bool { return bytes.Equal(a, b) }; true {
					got, all := unpacked(t, &parser, nil, packed)
					e, err := wire.Measure(packed, 0)
					if !slices.EqualFunc(got, want, same) || err != nil || e.Count != uint64(len(want)) || e.Size != all {
						t.Fatalf("seed %d: not what was put in: %+v, %v", seed, e, err)
					}
					n := rnd.IntN(len(want))
					routing, rest := wire.Skip(packed, uint64(n))
					if got, _ = unpacked(t, &parser, routing, rest); !slices.EqualFunc(got, want[n:], same) {
						t.Fatalf("seed %d: not what was put in after %d", seed, n)
					}
				}
				parts += len(want)
				for rest, before := packed, 0; len(rest) > 0; {
					var p wire.Item
					p, rest, _ = wire.Cut(rest, before)
					if before = p.After(before); p.Size > 0 && p.Routing == nil {
						short++
					}
				}
				// Of those that the peer has no room for only the first is sent.
				if _, to := r.pack(nil, from, 1<<20, uint64(r.costTo(from))); to != from+1 {
					t.Fatalf("seed %d: %d parts without room", seed, to-from)
				}
			}
			if r.cost() != cost || int(r.next-r.base) != len(list) {
				t.Fatalf("seed %d: cost %d, want %d; %d messages, want %d", seed, r.cost(), cost, r.next-r.base, len(list))
			}
		}
	}
	if short < parts/10 || short > parts-parts/10 {
		t.Errorf("%d of %d parts were short", short, parts)
	}
}

// TestShortForm: messages with the routing of the one before take a few bytes besides their own.
func TestShortForm(t *testing.T) {
	r := newRing()
	m := letter(1, 100)
	for n := range uint64(100) {
		m.ID = message.NumberID(1000 + n)
		r.push(&m, 0)
	}
	packed, to := r.pack(nil, 1, 1<<20, wire.MaxNumber)
	if each := (len(packed) - m.RoutingSize()) / 100; to != 101 || each > len(m.Body)+8 {
		t.Errorf("%d messages with a body of %d bytes take %d each", to-1, len(m.Body), each)
	}
	// Messages that unpack to more than a frame can carry in full go into several.
	m.Source = message.URL("hyperty://a.example/" + string(bytes.Repeat([]byte("s"), 1000)))
	m.ID, m.Body = message.ID{}, nil
	for range 2000 {
		r.push(&m, 0)
	}
	if packed, to = r.pack(nil, 101, 1<<20, wire.MaxNumber); to == r.next || to < 101+900 {
		t.Errorf("packed %d to %d in %d bytes", 101, to, len(packed))
	}
	if e, err := wire.Measure(packed, 0); err != nil || e.Size > wire.MaxMessage {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := wire.Measure(append(packed, bytes.Repeat([]byte{wire.ShortForm}, 200)...), 0); err == nil {
		t.Error("a frame unpacks to more than a frame can carry")
	}
}

// TestCarriedBesideRecords: a trace finds the messages of a frame also where records stand among them.
func TestCarriedBesideRecords(t *testing.T) {
	r := newRing()
	one, two := letter(1, 40), letter(2, 40)
	r.push(&one, 0)
	r.pushRecord([]byte{wire.RecordTaken, 3, 1, 2, 3}, 0)
	r.pushRecord([]byte{wire.RecordTaken, 3, 1, 2, 3}, 0)
	r.push(&two, 0)
	packed, _ := r.pack(nil, 1, 1<<10, wire.MaxNumber)
	list := wire.Messages(packed)
	if len(list) != 2 || list[0].ID != one.ID || list[1].ID != two.ID {
		t.Errorf("%+v", list)
	}
	if own := r.own(1, 5); len(own) != 2 || r.unacked() != 2 {
		t.Errorf("records %v, %d messages", own, r.unacked())
	}
	if r.release(5); r.records != 0 || r.reported != 0 || r.unacked() != 0 {
		t.Errorf("after the release: %d records that count %d", r.records, r.reported)
	}
}
