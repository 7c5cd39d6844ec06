package minibus

import (
	"math/rand/v2"
	"testing"
)

// queuesModel is what queues are to do, said as simply as possible: a list of numbers for each source.
type queuesModel struct {
	t     *testing.T
	inbox inbox // whose goroutine does not run

	number  uint64
	waiting map[uint32][]uint64
	turns   map[uint32]int // takes since the first that waits of a source has waited
	n       int
}

func (m *queuesModel) add(source uint32) {
	m.number++
	m.inbox.add(&Handed{Receipt: Receipt{Number: m.number, Source: source}})
	m.waiting[source] = append(m.waiting[source], m.number)
	m.n++
}

// take checks what is taken: each source's oldest, in order; not more than a turn; and nobody waits for two turns of others.
func (m *queuesModel) take() {
	taken := map[uint32]bool{}
	n := 0
	for b := m.inbox.queues.take(); b != nil; b = b.next {
		for _, one := range b.items[:b.n] {
			source, number := one.Receipt.Source, one.Receipt.Number
			if list := m.waiting[source]; len(list) == 0 || list[0] != number {
				m.t.Fatalf("message %d of source %d was taken, %v wait", number, source, list[:min(3, len(list))])
			}
			m.waiting[source] = m.waiting[source][1:]
			taken[source] = true
			n++
		}
	}
	if n > turnBlocks*len(block{}.items) || n == 0 && m.n > 0 {
		m.t.Fatalf("%d messages taken of %d", n, m.n)
	}
	if m.n -= n; m.inbox.queues.n != m.n {
		m.t.Fatalf("%d messages wait, %d are counted", m.n, m.inbox.queues.n)
	}
	for source, list := range m.waiting {
		if m.turns[source]++; taken[source] || len(list) == 0 {
			m.turns[source] = 0
		}
	}
	if m.n == 0 {
		m.inbox.queues.drop(m.inbox.group)
		if m.inbox.queues.head != nil || m.inbox.queues.tail != nil || m.inbox.queues.first != (queue{}) || m.inbox.queues.others != nil {
			m.t.Fatalf("nothing waits, and something is kept: %+v", m.inbox.queues)
		}
	}
}

// fair: a source with a queue of its own waits for one turn of each of the other queues.
func (m *queuesModel) fair() {
	for source := range uint32(few) {
		if turns := m.turns[source]; turns >= 2*few+1 {
			m.t.Fatalf("source %d has waited for %d turns", source, turns)
		}
	}
}

// few is how many sources of the test have queues of their own; as many queues are shared by others.
const few = 4

// run does what ops says: each byte takes, or adds messages.
func (m *queuesModel) run(ops []byte) {
	m.inbox.group, m.inbox.running = &group{}, true
	m.waiting, m.turns = map[uint32][]uint64{}, map[uint32]int{}
	for _, op := range ops {
		switch {
		case op < 100:
			m.take()
		case op < 180:
			for range 1 + int(op)*3 {
				m.add(uint32(op % few))
			}
		default: // sources that share queues
			m.add(few + uint32(op%few) + numQueues*uint32(op%8))
		}
		m.fair()
	}
	for m.n > 0 {
		m.take()
	}
	m.take()
}

func TestQueues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		ops := make([]byte, 300)
		for i := range ops {
			ops[i] = byte(r.Uint32())
		}
		(&queuesModel{t: t}).run(ops)
	}
}

func FuzzQueues(f *testing.F) {
	f.Add([]byte{100, 101, 250, 0, 0, 102, 0})
	f.Fuzz(func(t *testing.T, ops []byte) { (&queuesModel{t: t}).run(ops[:min(len(ops), 1000)]) })
}
