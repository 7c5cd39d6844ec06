package work

import (
	"math/rand/v2"
	"testing"
)

// numbered is an item of the tests.
type numbered struct {
	source uint32
	number uint64
}

// laneModel is the simplest model of a lane: a list of numbers for each source.
type laneModel struct {
	t      *testing.T
	memory Memory[numbered]
	lane   Lane[numbered]
	single bool // the worker takes items one by one

	number  uint64
	waiting map[uint32][]uint64
	turns   map[uint32]int // number of takes since the first waiting item of a source began to wait
	n       int
	works   bool
}

func (m *laneModel) add(source uint32) {
	m.number++
	if begin := m.lane.Add(source, &numbered{source, m.number}); begin == m.works {
		m.t.Fatalf("begin is %v, a worker: %v", begin, m.works)
	}
	m.works = true
	m.waiting[source] = append(m.waiting[source], m.number)
	m.n++
}

// take checks the items that are taken: each source's oldest, in order; no more than a turn; and no source waits for two turns
// of another.
func (m *laneModel) take() {
	if !m.works {
		return
	}
	taken := map[uint32]bool{}
	n := 0
	note := func(one numbered) {
		if list := m.waiting[one.source]; len(list) == 0 || list[0] != one.number {
			m.t.Fatalf("item %d of source %d was taken, %v wait", one.number, one.source, list[:min(3, len(list))])
		}
		m.waiting[one.source] = m.waiting[one.source][1:]
		taken[one.source] = true
		n++
	}
	if m.single {
		if v, ok := m.lane.Next(); ok {
			note(v)
		}
	} else {
		for b := m.lane.Take(); b != nil; b = m.memory.Done(b) {
			for _, one := range b.Items() {
				note(one)
			}
		}
	}
	if n > turnBlocks*blockSize || n == 0 && m.n > 0 {
		m.t.Fatalf("%d items taken of %d", n, m.n)
	}
	if m.works = n > 0; m.works != m.lane.Running() {
		m.t.Fatalf("a worker: %v", m.lane.Running())
	}
	if m.n -= n; m.lane.Len() != m.n {
		m.t.Fatalf("%d items wait, %d are counted", m.n, m.lane.Len())
	}
	for source, list := range m.waiting {
		if m.turns[source]++; taken[source] || len(list) == 0 {
			m.turns[source] = 0
		}
	}
	if l := &m.lane; n == 0 && (l.head != nil || l.tail != nil || l.first != (list[numbered]{}) || l.others != nil) {
		m.t.Fatalf("nothing waits, and something is kept: %+v", m.lane)
	}
}

// fair: a source with a list of its own waits for one turn of each of the other lists.
func (m *laneModel) fair() {
	for source := range uint32(few) {
		if turns := m.turns[source]; turns >= 2*few+1 {
			m.t.Fatalf("source %d has waited for %d turns", source, turns)
		}
	}
}

// few is how many sources of the test have lists of their own; the other sources share as many lists.
const few = 4

// run does what ops says: each byte takes, or adds items.
func (m *laneModel) run(ops []byte) {
	m.lane.Memory = &m.memory
	m.waiting, m.turns = map[uint32][]uint64{}, map[uint32]int{}
	for _, op := range ops {
		switch {
		case op < 100:
			m.take()
		case op < 180:
			for range 1 + int(op)*3 {
				m.add(uint32(op % few))
			}
		default: // sources that share lists
			m.add(few + uint32(op%few) + numOthers*uint32(op%8))
		}
		m.fair()
	}
	for m.works {
		m.take()
	}
	if m.n > 0 {
		m.t.Fatalf("%d items wait for nobody", m.n)
	}
}

func TestLane(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 50 {
		ops := make([]byte, 300)
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		(&laneModel{t: t, single: n%2 == 1}).run(ops)
	}
}

func FuzzLane(f *testing.F) {
	f.Add([]byte{100, 101, 250, 0, 0, 102, 0}, false)
	f.Add([]byte{100, 101, 250, 0, 0, 102, 0}, true)
	f.Fuzz(func(t *testing.T, ops []byte, single bool) {
		(&laneModel{t: t, single: single}).run(ops[:min(len(ops), 1000)])
	})
}

// A lane that is held, or claimed, keeps new items; when that ends, it says that a worker has to begin.
func TestLaneHoldAndClaim(t *testing.T) {
	var l Lane[int]
	one := 1
	l.Hold()
	if l.Claim() || l.Open() {
		t.Error("a lane that is held and empty has a worker")
	}
	l.Hold()
	if l.Add(0, &one) || l.Running() || !l.Busy() {
		t.Error("a lane that is held has a worker")
	}
	if !l.Open() || l.Claim() || l.Add(0, &one) {
		t.Error("a lane that was opened has no worker, or two")
	}
	for range 2 {
		if v, ok := l.Next(); !ok || v != 1 {
			t.Fatal(v, ok)
		}
	}
	if _, ok := l.Next(); ok || l.Busy() {
		t.Error("an empty lane is busy")
	}
	if !l.Claim() || l.Claim() || l.Add(0, &one) {
		t.Error("a lane that was claimed has another worker")
	}
	if !l.Leave() || !l.Running() {
		t.Error("what came while a lane was claimed waits for nobody")
	}
	_, _ = l.Next()
	if _, ok := l.Next(); ok || !l.Claim() || l.Leave() {
		t.Error("a claim that left nothing has a worker")
	}
}
