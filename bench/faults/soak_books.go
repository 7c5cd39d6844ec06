package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// posted is a message: who sent it in which life, to whom, and its number.
type posted struct {
	from string
	life int
	to   string
	n    int
}

// books are what all applications have entered.
type books struct {
	sent     []posted
	outcomes map[posted]string // the last state that its sender was told
	told     map[posted]int    // how often
	handled  map[posted]int
	set      map[string]int // the values of objects at their reporters
	seen     map[string]map[string]int
	asked    map[string]int
	knows    map[posted]bool // lives (to and n are empty) that have heard of all their messages
}

// judgeBooks compares what was sent with what was handled and told.
func (s *soak) judgeBooks() {
	b := &books{outcomes: map[posted]string{}, told: map[posted]int{}, handled: map[posted]int{},
		set: map[string]int{}, seen: map[string]map[string]int{}, asked: map[string]int{}, knows: map[posted]bool{}}
	for _, a := range s.apps {
		life := a.life
		for a.life = 1; a.life < life; a.life++ {
			s.read(b, a, false)
		}
		s.read(b, a, true)
	}
	for _, p := range b.sent {
		s.balance(b, p)
	}
	for url, n := range b.set {
		for _, a := range s.apps {
			if got, ok := b.seen[a.name][url]; got != n && url != "comm://"+domain+"/"+a.name {
				s.result.fail("%s has the value %d, %s observes %d (%v)", url, n, a.name, got, ok)
			}
		}
	}
	for how, n := range b.asked {
		s.result.figure("requests_"+how, float64(n))
	}
}

// balance judges one message.
func (s *soak) balance(b *books, p posted) {
	r, state, came := s.result, b.outcomes[p], b.handled[p]
	if state != "not-posted" {
		r.Sent++
	}
	if came > 0 {
		r.Delivered++
	}
	if came > 1 {
		r.Duplicated++
		r.fail("%+v was handled %d times", p, came)
	}
	knows := b.knows[posted{from: p.from, life: p.life}]
	switch {
	case state == "" && knows, state == "none":
		r.Lost++
		r.fail("nobody says what became of %+v", p)
	case b.told[p] > 1:
		r.fail("%+v has %d outcomes", p, b.told[p])
	case state == "delivered":
		r.Claimed++
		if came == 0 {
			r.fail("%+v is claimed to be delivered, and no handler has returned", p)
		}
	case state == "refused", state == "not-posted":
		r.Refused++
		if came > 0 {
			r.fail("%+v was %s, and its handler has returned", p, state)
		}
	case state == "in-doubt", state == "expired":
		r.InDoubt++
	}
}

// read reads the book of one life of an application; latest is its present one.
func (s *soak) read(b *books, a *soaker, latest bool) {
	text, err := os.ReadFile(s.book(a))
	if err != nil {
		s.result.fail("the book of %s: %v", filepath.Base(s.book(a)), err)
		return
	}
	order := map[posted]int{} // in this life of the receiver
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		p := posted{from: a.name, life: a.life}
		var state, url string
		var n int
		switch word {
		case "sent":
			_, err = fmt.Sscan(rest, &p.to, &p.n)
			b.sent = append(b.sent, p)
		case "outcome":
			_, err = fmt.Sscan(rest, &p.to, &p.n, &state)
			b.outcomes[p] = state
			b.told[p]++
		case "handled":
			p.to = a.name
			_, err = fmt.Sscan(rest, &p.from, &p.life, &p.n)
			b.handled[p]++
			pair := p
			pair.n = 0
			if p.n < order[pair] {
				s.result.OutOfOrder++
				s.result.fail("%+v came after %d", p, order[pair])
			}
			order[pair] = max(order[pair], p.n)
		case "asked":
			how, _, _ := strings.Cut(rest, " ")
			b.asked[how]++
		case "set", "seen":
			_, err = fmt.Sscan(rest, &url, &n)
			if word == "set" && latest {
				b.set[url] = n
			} else if latest {
				if b.seen[a.name] == nil {
					b.seen[a.name] = map[string]int{}
				}
				b.seen[a.name][url] = n
			}
		case "ended":
			s.events["object ended"]++
			s.say("  %s life %d: object %s", a.name, a.life, rest)
		case "end", "quiet":
			b.knows[p] = word == "end" || latest
		case "wrong":
			s.result.fail("%s, life %d: %s", a.name, a.life, rest)
		}
		if err != nil {
			s.result.fail("%s, life %d: line %q: %v", a.name, a.life, line, err)
			err = nil
		}
	}
}
