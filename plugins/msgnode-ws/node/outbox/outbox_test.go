package outbox

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

const testRoom = 8 << 20

func sized(size int) Packet { return Packet{Data: make([]byte, size)} }

// crammed puts packets of one sender until one is dropped, or n wait.
func crammed(o *Outbox, from string, known bool, size, n int) (put int) {
	for ; put < n; put++ {
		if len(o.PutData([]byte(from), known, sized(size), testRoom)) > 0 {
			break
		}
	}
	return put
}

// Lines have the same share in bytes, however large their packets are and however many wait.
func TestOutboxIsFair(t *testing.T) {
	var o Outbox
	sizes := map[string]int{"small": 100, "middle": 5_000, "large": 100_000}
	for name, size := range sizes {
		crammed(&o, name, true, size, 600_000/size)
	}
	of := map[int]string{}
	for name, size := range sizes {
		of[size] = name
	}
	written := map[string]int{}
	for total := 0; total < 1_200_000; {
		for _, p := range o.Next(nil, 0) {
			written[of[len(p.Data)]] += len(p.Data)
			total += len(p.Data)
		}
	}
	for name, bytes := range written {
		if bytes < 400_000-2*100_000 || bytes > 400_000+2*100_000 {
			t.Errorf("%s: %d bytes of 1,200,000", name, bytes)
		}
	}
}

// However many strangers there are, they have the turn of one, and an eighth of the room.
func TestOutboxHoldsStrangersBack(t *testing.T) {
	var o Outbox
	for i := range 5000 {
		crammed(&o, fmt.Sprint("stranger", i), false, 1000, 5)
	}
	if o.bytes > testRoom/strangersPart {
		t.Fatalf("%d bytes of strangers", o.bytes)
	}
	if n := crammed(&o, "bob", true, 1001, 200); n != 200 {
		t.Fatalf("%d packets of a correspondent are taken", n)
	}
	bobs := 0
	for range 100 {
		if p := o.Next(nil, 0); len(p[0].Data) == 1001 {
			bobs++
		}
	}
	if bobs < 45 || bobs > 70 {
		t.Errorf("%d of 100 packets were the correspondent's", bobs)
	}
}

// If there is no room, the sender with the most loses its newest packet. Packets of senders with less are taken.
func TestOutboxDropsOfTheLongestLine(t *testing.T) {
	var o Outbox
	for i := range 2 * looked { // so many lines are before mallory's that it is not among those that are looked at
		crammed(&o, fmt.Sprint("carol", i), true, 100, 1)
	}
	mallory := crammed(&o, "mallory", true, 10_000, 1_000_000)
	if mallory < testRoom/10_300 {
		t.Fatalf("%d packets are taken", mallory)
	}
	if o.active != 2*looked+1 {
		t.Errorf("%d have something left", o.active)
	}
	for o.longest(false).bytes < 10_000 {
		o.Next(nil, 0)
	}
	for range 50 {
		dropped := o.PutData([]byte("bob"), true, sized(9_000), testRoom)
		if len(dropped) > 1 || len(dropped) == 1 && len(dropped[0].Data) != 10_000 {
			t.Fatalf("%d packets are dropped, of %d bytes", len(dropped), len(dropped[0].Data))
		}
	}
	if dropped := o.PutData([]byte("mallory"), true, sized(10_001), testRoom); len(dropped) != 1 || len(dropped[0].Data) != 10_001 {
		t.Errorf("%d are dropped for one more of the longest", len(dropped))
	}
}

// The same holds with many senders: the one with the most is known, wherever in the turns it is.
func TestOutboxKnowsWhoHasTheMost(t *testing.T) {
	var o Outbox
	const others = 50 * looked
	for i := range others {
		crammed(&o, fmt.Sprint("carol", i), true, 2000, 2)
	}
	crammed(&o, "mallory", true, 10_000, 1_000_000)
	for i := range others {
		dropped := o.PutData(fmt.Append(nil, "carol", i), true, sized(1000), testRoom)
		if len(dropped) > 1 || len(dropped) == 1 && len(dropped[0].Data) != 10_000 {
			t.Fatalf("for a third packet of %d, %d are dropped, of %d bytes", i, len(dropped), len(dropped[0].Data))
		}
		for range i % 3 {
			o.Next(nil, 0)
		}
		crammed(&o, "mallory", true, 10_000, 1_000_000)
	}
}

// Messages make room for themselves. Those that nobody asked for fill only a part of it.
func TestOutboxTakesMessages(t *testing.T) {
	var o Outbox
	crammed(&o, "mallory", true, 10_000, 1_000_000)
	uninvited, all := 0, 0
	for ; uninvited < 10_000; uninvited++ {
		if _, ok := o.PutMessage(sized(1000), true, testRoom); !ok {
			break
		}
	}
	for all = uninvited; all < 10_000; all++ {
		if _, ok := o.PutMessage(sized(1000), false, testRoom); !ok {
			break
		}
	}
	if want := testRoom / uninvitedPart / (1000 + packetSize); uninvited != want {
		t.Errorf("%d messages that nobody asked for, want %d", uninvited, want)
	}
	if want := testRoom / (1000 + packetSize); all != want {
		t.Errorf("%d messages, want %d", all, want)
	}
	if o.longest(false) != nil {
		t.Error("Data is left")
	}
}

// Nothing is lost, invented or overtaken within a line, whatever happens in which order, and nothing stays counted.
func TestOutboxKeepsOrder(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		var o Outbox
		next, last := map[byte]int{}, map[byte]int{}
		known := func(who byte) bool { return who%3 == 0 }
		for range 20_000 {
			switch random.IntN(5) {
			default:
				who := byte(random.IntN(100))
				p := Packet{Data: append([]byte{who}, make([]byte, 7+random.IntN(3000))...)}
				next[who]++
				p.Data[1], p.Data[2], p.Data[3] = byte(next[who]>>16), byte(next[who]>>8), byte(next[who])
				if who == 99 {
					o.PutMessage(p, false, testRoom)
				} else {
					o.PutData([]byte{who}, known(who) != (random.IntN(20) == 0), p, testRoom)
				}
			case 0:
				for _, p := range o.Next(nil, random.IntN(10_000)) {
					who, n := p.Data[0], int(p.Data[1])<<16|int(p.Data[2])<<8|int(p.Data[3])
					if n <= last[who] || n > next[who] {
						t.Fatalf("seed %d: %d of %d after %d", seed, n, who, last[who])
					}
					last[who] = n
				}
			}
			if o.bytes > testRoom || o.strange.bytes > testRoom/strangersPart {
				t.Fatalf("seed %d: %d bytes, %d of strangers", seed, o.bytes, o.strange.bytes)
			}
		}
		for len(o.Next(nil, 1<<20)) > 0 {
		}
		if o.bytes != 0 || o.strange.bytes != 0 || o.active != 0 || o.turns.front != nil || o.aliens.front != nil {
			t.Fatalf("seed %d: left: %+v", seed, o)
		}
	}
}

// Senders that have nothing waiting are forgotten.
func TestOutboxForgets(t *testing.T) {
	var o Outbox
	for i := range 100_000 {
		o.PutData(fmt.Append(nil, i), i%2 == 0, sized(1), testRoom)
		o.Next(nil, 0)
	}
	if n := len(o.data); n > idleLines {
		t.Errorf("%d lines", n)
	}
}

// A line that was long gives its memory back, which is not counted.
func TestOutboxKeepsNoRoom(t *testing.T) {
	var o Outbox
	for i := range 50 {
		if n := crammed(&o, fmt.Sprint(i), true, 1, 40_000); n != 40_000 {
			t.Fatalf("%d are taken", n)
		}
		for len(o.Next(nil, 1<<20)) > 0 {
		}
	}
	room := cap(o.messages.packets)
	for _, l := range o.data {
		room += cap(l.packets)
	}
	if room > 50*keptPackets {
		t.Errorf("room for %d packets is kept, and none waits", room)
	}
}

// Where the whole room is taken, a stranger's packet finds room as anybody's does: at the cost of whoever has the most.
func TestOutboxTakesStrangersWhereCorrespondentsFillIt(t *testing.T) {
	var o Outbox
	crammed(&o, "mallory", true, 10_000, 1_000_000)
	if dropped := o.PutData([]byte("stranger"), false, sized(9_900), testRoom); len(dropped) != 1 || len(dropped[0].Data) != 10_000 {
		t.Errorf("%d are dropped", len(dropped))
	}
	if o.strange.bytes != 9_900+packetSize {
		t.Errorf("%d bytes of strangers wait", o.strange.bytes)
	}
}

// The room can be filled to its last byte, by Data and by messages, and nothing is dropped for that.
func TestOutboxCanBeFilled(t *testing.T) {
	var o Outbox
	const limit = 10 * (1000 + packetSize)
	put := func(name string) (dropped []Packet, ok bool) {
		if name == "messages" {
			return o.PutMessage(sized(1000), false, limit)
		}
		return o.PutData([]byte(name), true, sized(1000), limit), true
	}
	for i := range 10 {
		if dropped, ok := put([]string{"messages", "bob"}[i%2]); len(dropped) > 0 || !ok {
			t.Fatalf("packet %d: %d are dropped, %v", i, len(dropped), ok)
		}
	}
	if o.Waiting() != limit {
		t.Errorf("%d bytes wait", o.Waiting())
	}
	if dropped, ok := put("messages"); len(dropped) != 1 || !ok {
		t.Errorf("one more: %d are dropped, %v", len(dropped), ok)
	}
	for range 4 {
		put("messages")
	}
	if dropped, ok := put("messages"); len(dropped) > 0 || ok {
		t.Errorf("a message where there are only messages: %d are dropped, %v", len(dropped), ok)
	}
	var u Outbox
	for range 10 / uninvitedPart { // what nobody asked for fills its part to the last byte as well
		if _, ok := u.PutMessage(sized(1000), true, uninvitedPart*(10/uninvitedPart)*(1000+packetSize)); !ok {
			t.Error("an uninvited message finds no room")
		}
	}
}

// Of the lines that have their turn next the longest one is found where it is not known which has the most, but for one, and no
// further than is looked.
func TestLongestOfTheNextLines(t *testing.T) {
	var r rotation
	lines := make([]line, 2*looked)
	for i := range lines {
		lines[i].bytes = 10
		r.join(&lines[i])
	}
	if l := r.longest(nil); l != &lines[0] {
		t.Error("of equal ones not the first")
	}
	lines[3].bytes, lines[looked-1].bytes, lines[looked].bytes = 20, 30, 40
	if l := r.longest(nil); l != &lines[looked-1] {
		t.Errorf("found one of %d bytes", l.bytes)
	}
	if l := r.longest(&lines[looked-1]); l != &lines[3] {
		t.Errorf("found one of %d bytes, but for the longest", l.bytes)
	}
	r.grew(&lines[looked])
	if l := r.longest(nil); l != &lines[looked] {
		t.Errorf("found one of %d bytes where the longest is known", l.bytes)
	}
	var one rotation
	if one.longest(nil) != nil {
		t.Error("one is found where none is")
	}
	one.join(&line{bytes: 1})
	if one.longest(one.front) != nil {
		t.Error("the only one is found, but for itself")
	}
}

func BenchmarkOutbox(b *testing.B) {
	for _, senders := range []int{1, 100} {
		b.Run(fmt.Sprint(senders), func(b *testing.B) {
			names := make([][]byte, senders)
			for i := range names {
				names[i] = fmt.Appendf(nil, "hyperty-runtime://example.com/%d", i)
			}
			var o Outbox
			var batch []Packet
			p := sized(1000)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				o.PutData(names[i%senders], true, p, testRoom)
				if i%8 == 7 {
					batch = o.Next(batch[:0], 64<<10)
				}
			}
		})
	}
}
