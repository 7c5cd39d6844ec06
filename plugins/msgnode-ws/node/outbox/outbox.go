package outbox

// Outbox is the queue of packets to be written to one connection. Each runtime whose Data comes has a line of its own
// there, and the lines take turns by bytes: a runtime that sends much delays itself and nobody else. Strangers, the
// runtimes to which the connection has never sent anything, share one turn, so that they leave room for its
// correspondents, however many they are. Messages are few, and keep their order in one line.
//
// If there is no room, Data of a line that has more waiting than others is dropped: the two runtimes' sessions notice that and
// send again. So a flood harms its sender, and the connection stays.
//
// It does no I/O and has no lock. The zero value is ready.
type Outbox struct {
	data     map[string]*line // by the runtime that it comes from
	messages line
	strange  line     // stands in turns for all strangers
	turns    rotation // the lines of correspondents, messages and strange
	aliens   rotation // the lines of strangers
	bytes    int64    // of all that waits, by Packet.Size
	active   int      // lines in data that have packets
}

const (
	// Strangers have 1/strangersPart of the room; messages that nobody asked for have 1/uninvitedPart.
	strangersPart, uninvitedPart = 8, 4
	// idleLines is how many empty lines are kept for the next packet of the same sender.
	idleLines = 256
	// keptPackets is for how many packets an empty line keeps room.
	keptPackets = 256
)

// PutData queues Data of a runtime; limit bytes may wait in all. dropped are the packets, perhaps p itself, for which there is
// no room.
func (o *Outbox) PutData(from []byte, known bool, p Packet, limit int64) (dropped []Packet) {
	l := o.data[string(from)]
	if l == nil {
		l = o.newLine(string(from))
	}
	if !l.in { // else it keeps its place
		l.alien = !known
	}
	for l.alien && o.strange.bytes+p.Size() > limit/strangersPart || o.bytes+p.Size() > limit {
		victim := o.longest(l.alien && o.bytes+p.Size() <= limit)
		if victim == nil || victim == l || victim.bytes <= l.bytes+p.Size() {
			return append(dropped, p)
		}
		dropped = append(dropped, o.cut(victim))
	}
	o.add(l, p)
	return dropped
}

// PutMessage queues a packet of messages. ok is false if there is no room for it, even without the Data that was dropped for
// it. For uninvited messages, which nobody asked for, there is less room.
func (o *Outbox) PutMessage(p Packet, uninvited bool, limit int64) (dropped []Packet, ok bool) {
	if uninvited && o.messages.bytes+p.Size() > limit/uninvitedPart {
		return nil, false
	}
	for o.bytes+p.Size() > limit {
		victim := o.longest(false)
		if victim == nil {
			return dropped, false
		}
		dropped = append(dropped, o.cut(victim))
	}
	o.add(&o.messages, p)
	return dropped, true
}

// Next takes the packets that are written together: as many as have goal bytes together, one at least. into is reused.
func (o *Outbox) Next(into []Packet, goal int) []Packet {
	for size := 0; ; {
		l := o.turn()
		if l == nil {
			return into
		}
		p := l.packets[l.first]
		if size += len(p.Data); len(into) > 0 && size > goal {
			return into
		}
		l.packets[l.first] = Packet{}
		l.first++
		o.took(l, &p)
		l.left -= len(p.Data)
		if l.alien {
			o.strange.left -= len(p.Data)
		}
		into = append(into, p)
	}
}

// turn returns the line that writes next, nil if nothing waits.
func (o *Outbox) turn() *line {
	l := o.turns.turn()
	if l == &o.strange {
		return o.aliens.turn()
	}
	return l
}

// longest returns the line of Data that has the most, or about as much; nil if there is none.
func (o *Outbox) longest(aliens bool) *line {
	if !aliens {
		if l := o.turns.longest(&o.messages); l != &o.strange {
			return l
		}
	}
	return o.aliens.longest(nil)
}

// Add puts a packet at the end of a line.
func (o *Outbox) add(l *line, p Packet) {
	if l.first > len(l.packets)/2 && l.first > 32 { // free what was written
		n := copy(l.packets, l.packets[l.first:])
		clear(l.packets[n:])
		l.packets, l.first = l.packets[:n], 0
	}
	l.packets = append(l.packets, p)
	l.bytes += p.Size()
	o.bytes += p.Size()
	if !l.in && l != &o.messages {
		o.active++
	}
	if !l.alien {
		o.turns.join(l)
		if l != &o.messages { // messages are never dropped
			o.turns.grew(l)
		}
		return
	}
	o.strange.bytes += p.Size()
	o.aliens.join(l)
	o.aliens.grew(l)
	o.turns.join(&o.strange)
	o.turns.grew(&o.strange)
}

// cut drops the newest packet of a line.
func (o *Outbox) cut(l *line) Packet {
	last := len(l.packets) - 1
	p := l.packets[last]
	l.packets[last] = Packet{}
	l.packets = l.packets[:last]
	o.took(l, &p)
	return p
}

// took counts a packet that has left a line.
func (o *Outbox) took(l *line, p *Packet) {
	l.bytes -= p.Size()
	o.bytes -= p.Size()
	if l.alien {
		o.strange.bytes -= p.Size()
		if o.strange.bytes == 0 {
			o.turns.leave(&o.strange)
		}
	}
	if l.first < len(l.packets) {
		return
	}
	l.packets, l.first = l.packets[:0], 0
	if cap(l.packets) > keptPackets {
		l.packets = nil
	}
	if l.alien {
		o.aliens.leave(l)
	} else {
		o.turns.leave(l)
	}
	if l != &o.messages {
		o.active--
	}
}

// newLine makes a line for a runtime.
func (o *Outbox) newLine(from string) *line {
	if o.data == nil {
		o.data = map[string]*line{}
	}
	if len(o.data) >= o.active+idleLines {
		for from, l := range o.data {
			if !l.in {
				delete(o.data, from)
			}
		}
	}
	l := &line{}
	o.data[from] = l
	return l
}

// Waiting is how many bytes wait in all, by Packet.Size.
func (o *Outbox) Waiting() int64 { return o.bytes }

// Crowded tells whether so many messages wait that uninvited ones will soon be refused; limit bytes may wait in all.
func (o *Outbox) Crowded(limit int64) bool { return o.messages.bytes > limit/uninvitedPart/2 }

// Empty removes all packets and returns them.
func (o *Outbox) Empty() (list []Packet) {
	for o.bytes > 0 {
		list = o.Next(list, int(o.bytes))
	}
	*o = Outbox{}
	return list
}
