package changes

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

const (
	home message.URL = "hyperty-runtime://example.com/a/registry"
	bob  message.URL = "hyperty-runtime://example.com/b"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func subscription(from message.URL) *message.Message {
	return &message.Message{ID: message.NumberID(7), Type: message.Subscribe, From: from.Join("registry"), To: home,
		Body: message.Encode(map[string]any{"subscribe": []message.URL{home.Join("changes")}})}
}

func object(i int) message.URL { return message.URL(fmt.Sprintf("comm://example.com/%d", i)) }

// published is a Publisher whose list a test changes.
type published struct {
	*Publisher
	out  *Outbox
	have []message.URL
}

func publish() *published {
	p := &published{out: NewOutbox()}
	p.Publisher = NewPublisher(home, true, p.out, func() []message.URL { return p.have })
	return p
}

func (p *published) add(u message.URL) {
	p.have = append(p.have, u)
	p.Announce(Add, u)
}

// answer takes the only message that waits, which must be an answer, and returns its code.
func (p *published) answer(t *testing.T) int {
	t.Helper()
	m, update, ok := p.out.Take()
	if !ok || update || m.To != bob.Join("registry") {
		t.Fatalf("%v: %+v, update %v", ok, m, update)
	}
	if more, _, ok := p.out.Take(); ok {
		t.Fatalf("more waits: %+v", more)
	}
	result, _ := m.Result()
	return result.Code
}

func TestWhoIsAdmitted(t *testing.T) {
	p := publish()
	m := subscription(bob)
	if p.Admit(noon, bob, m, false) || p.answer(t) != message.CodeForbidden {
		t.Error("a runtime without a connection is a follower")
	}
	if !p.Admit(noon, bob, m, true) || !p.Follows(bob) {
		t.Fatal("refused")
	}
	p.Answer(m)
	if p.answer(t) != message.CodeOK {
		t.Error("no list")
	}
	if p.Admit(noon.Add(listPause-1), bob, m, true) || p.answer(t) != message.CodeUnavailable {
		t.Error("two lists in a moment")
	}
	if !p.Unsubscribe(bob, m) || p.answer(t) != message.CodeOK || p.Follows(bob) {
		t.Error("it follows still")
	}
	if p.Admit(noon.Add(listPause-1), bob, m, true) || p.answer(t) != message.CodeUnavailable {
		t.Error("whoever comes back has a list at once")
	}
	if !p.Admit(noon.Add(listPause), bob, m, true) {
		t.Error("refused after the pause")
	}
	if dropped := p.Switch(false); !slices.Equal(dropped, []message.URL{bob}) || p.Followers() != 0 {
		t.Errorf("%v dropped", dropped)
	}
	if p.Admit(noon.Add(time.Hour), bob, m, true) || p.answer(t) != message.CodeForbidden {
		t.Error("admitted while switched off")
	}
}

func TestListPausesAreForgotten(t *testing.T) {
	p := publish()
	for i := range 3 * maxListed {
		remote := message.URL(fmt.Sprintf("hyperty-runtime://example.com/r%d", i))
		p.Admit(noon.Add(time.Duration(i)*time.Millisecond), remote, subscription(remote), true)
	}
	if len(p.listed) > maxListed+1 {
		t.Errorf("%d are remembered", len(p.listed))
	}
}

// However many updates wait, a follower ends with the complete list, in the order of versions without a gap.
func TestWaitingUpdatesAreBounded(t *testing.T) {
	p := publish()
	p.Admit(noon, bob, subscription(bob), true)
	p.Answer(subscription(bob))
	for i := range 10 * maxUpdates {
		p.add(object(i))
	}
	p.Answer(subscription(bob))
	waiting, answers := 0, 0
	have, version := map[message.URL]bool{}, uint64(0)
	for m, update, ok := p.out.Take(); ok; m, update, ok = p.out.Take() {
		waiting++
		if !update {
			answers++
			continue
		}
		c, err := Parse(&m)
		if err != nil {
			t.Fatal(err)
		}
		if c.Operation == "" {
			clear(have)
		} else if c.Version != version+1 {
			t.Fatalf("version %d after %d", c.Version, version)
		}
		version = c.Version
		for _, u := range c.URLs {
			have[u] = true
		}
	}
	if waiting > maxUpdates+2 || len(have) != 10*maxUpdates || answers != 1 || version != p.Version() {
		t.Errorf("%d messages waited: a follower ends with %d addresses of version %d, and %d answers", waiting, len(have), version, answers)
	}
}

// reaches checks that a follower that has the list of a version ends with the present list when it has taken all updates that
// wait. It returns how many messages that were.
func (p *published) reaches(t *testing.T, list []message.URL, version uint64) (waiting int) {
	t.Helper()
	s, k := begun(t), names()
	s.Subscribed(Change{"", list, version}, k, true)
	for m, update, ok := p.out.Take(); ok; m, update, ok = p.out.Take() {
		if waiting++; !update {
			continue
		}
		c, err := Parse(&m)
		if err != nil {
			t.Fatal(err)
		}
		s.Apply(c, k)
	}
	if s.Version() != p.Version() || len(k.have) != len(p.have) {
		t.Errorf("a follower ends with %d addresses of version %d, want %d of %d", len(k.have), s.Version(), len(p.have), p.Version())
	}
	return waiting
}

// An update is not lost while as many runtimes wait for their lists as updates may wait.
func TestAnUpdateWhileManyWaitForTheirLists(t *testing.T) {
	p := publish()
	for i := range maxUpdates + 1 {
		remote := message.URL(fmt.Sprintf("hyperty-runtime://example.com/r%d", i))
		p.Admit(noon, remote, subscription(remote), true)
		p.Answer(subscription(remote))
	}
	for i := range 3 {
		p.add(object(i))
	}
	p.reaches(t, nil, 0)
}

// No follower misses an update because another one is sent a list that does not fit one message, however many updates wait.
func TestALongListWhileManyUpdatesWait(t *testing.T) {
	for _, updates := range []int{maxUpdates - 1, maxUpdates} {
		p := publish()
		p.Admit(noon, bob, subscription(bob), true)
		for i := range 12000 {
			p.have = append(p.have, message.URL(fmt.Sprintf("comm://example.com/a-rather-long-address-%06d", i)))
		}
		before := p.have
		for i := range updates {
			p.add(object(i))
		}
		for range 3 {
			p.Answer(subscription(bob))
		}
		if waiting := p.reaches(t, before, 0); waiting > maxUpdates+1 {
			t.Errorf("%d messages waited", waiting)
		}
	}
}

func TestNothingIsSaidToNobody(t *testing.T) {
	p := publish()
	p.add(object(1))
	if _, _, ok := p.out.Take(); ok || p.Version() != 1 {
		t.Errorf("an update without a follower, version %d", p.Version())
	}
}

func TestListsThatDoNotFitOneMessage(t *testing.T) {
	var urls []message.URL
	for i := range 30000 {
		urls = append(urls, message.URL(fmt.Sprintf("comm://example.com/a-rather-long-address-%06d", i)))
	}
	var all []message.URL
	parts := 0
	for rest := urls; len(rest) > 0; parts++ {
		var first []message.URL
		first, rest = cut(rest)
		if n := len(message.Encode(Body{Operation: Add, Value: first})); n > message.MaxBody {
			t.Fatalf("a body of %d bytes", n)
		}
		all = append(all, first...)
	}
	if !slices.Equal(all, urls) || parts != 3 {
		t.Errorf("%d parts with %d addresses", parts, len(all))
	}
}
