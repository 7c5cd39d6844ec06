package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// question is the body of a read: one of its members is set.
type question struct {
	Find   *hyperty.Query `json:"find"`
	Watch  *asked         `json:"watch"`
	Events *asked         `json:"events"`
}

// asked is what somebody wants to know again and again.
type asked struct {
	Addresses []message.URL `json:"addresses"`
	After     string        `json:"after"` // the version of the last answer
	Wait      int64         `json:"wait"`  // milliseconds
}

// until is when the question is to be answered though there is nothing new.
func (a *asked) until(now time.Time) time.Time {
	return now.Add(time.Duration(min(max(a.Wait, 0), maxWait.Milliseconds())) * time.Millisecond)
}

// receive takes what is sent to <runtime>/discovery. It waits for nothing.
func (d *Discovery) receive(_ context.Context, m message.Message) {
	if m.Type == message.Response {
		return
	}
	who := m.From.Canonical()
	var q question
	switch err := json.Unmarshal(m.Body, &q); {
	case !d.o.Registry.Hyperty(who):
		d.o.Bus.Reply(m.Refuse(message.CodeForbidden, "only a hyperty of this runtime may ask it who is there, from its own address"))
	case m.Type != message.Read:
		d.o.Bus.Reply(m.Refuse(message.CodeBadRequest, "%s takes read, not %s", d.url, m.Type))
	case err != nil:
		d.o.Bus.Reply(m.Refuse(message.CodeBadRequest, "%v", err))
	case q.Find != nil:
		d.find(who, m, *q.Find)
	case q.Watch != nil:
		d.watch(who, m, q.Watch)
	case q.Events != nil:
		d.events(who, m, q.Events)
	default:
		d.o.Bus.Reply(m.Refuse(message.CodeBadRequest, "a read of %s needs find, watch or events", d.url))
	}
}

// find has a Domain Registry asked.
func (d *Discovery) find(who message.URL, m message.Message, q hyperty.Query) {
	d.mu.Lock()
	room := d.finding < maxFinds && d.finds[who] < eachFinds
	if room {
		d.finding++
		d.finds[who]++
	}
	d.mu.Unlock()
	if !room {
		d.o.Bus.Reply(m.Refuse(message.CodeTooMany, "%s finds %d things already, or this runtime %d; try again", who, eachFinds, maxFinds))
		return
	}
	d.o.Go(func(ctx context.Context) {
		found, err := d.o.Registry.Search(ctx, q)
		d.mu.Lock()
		d.finding--
		if d.finds[who]--; d.finds[who] == 0 {
			delete(d.finds, who)
		}
		d.mu.Unlock()
		d.o.Bus.Reply(response(&m, found, err))
	})
}

// response is the answer to a question that was answered with a value, or an error.
func response(m *message.Message, value any, err error) message.Message {
	var no *message.ResponseError
	switch {
	case errors.As(err, &no):
		return m.Refuse(no.Code, "%s", no.Description)
	case err != nil:
		return m.Refuse(message.CodeUnavailable, "%v", err)
	}
	answer := m.Respond(message.CodeOK, value)
	if answer.Check() != nil {
		return m.Refuse(message.CodeTooLarge, "what was found is too large for one answer; ask for a smaller page")
	}
	return answer
}

// watch tells the presence of addresses: what has changed, or what will change next.
func (d *Discovery) watch(who message.URL, m message.Message, a *asked) {
	addresses, err := d.watchable(a.Addresses)
	if err != nil {
		d.o.Bus.Reply(response(&m, nil, err))
		return
	}
	now := time.Now()
	p := &poll{m: m, who: who, addresses: addresses, until: a.until(now)}
	d.mu.Lock()
	begun, left, err := d.watching.Watch(now, who, addresses, p.until.Add(lease), now.Add(lease))
	if err == nil {
		p.after = d.watching.After(a.After)
		d.watched.Store(int32(d.watching.Len()))
		if len(d.watching.News(addresses, p.after)) > 0 {
			d.answer(p)
		} else if !d.polls.add(p) {
			err = errTooManyAsked(who)
		}
	} else {
		err = refused(message.CodeTooMany, "a hyperty watches at most %d addresses, all of a runtime %d", hyperty.MaxWatched, maxAll)
	}
	d.mu.Unlock()
	if err != nil {
		d.o.Bus.Reply(response(&m, nil, err))
	}
	d.subscribe(append(begun, left...))
	d.poke()
}

// watchable are the addresses, each once, as they are known: without what is below a hyperty.
func (d *Discovery) watchable(addresses []message.URL) ([]message.URL, error) {
	if len(addresses) == 0 || len(addresses) > hyperty.MaxWatched {
		return nil, refused(message.CodeBadRequest, "%d addresses, 1 to %d can be watched", len(addresses), hyperty.MaxWatched)
	}
	list, seen := make([]message.URL, 0, len(addresses)), map[message.URL]bool{}
	for _, u := range addresses {
		u, err := message.ParseURL(string(u))
		if err != nil {
			return nil, refused(message.CodeBadRequest, "%v", err)
		}
		if u = known(u); u.IsBackEnd() || u.NodeDomain() == "" || u.IsRuntime() && !u.Within(d.o.Runtime.Join("hyperty")) {
			return nil, refused(message.CodeBadRequest, "%s cannot be watched: only hyperties and data objects can", u)
		}
		if !seen[u] {
			seen[u] = true
			list = append(list, u)
		}
	}
	return list, nil
}

// events tells how nodes and runtimes are reached: what has changed, or what will change next.
func (d *Discovery) events(who message.URL, m message.Message, a *asked) {
	p := &poll{m: m, who: who, until: a.until(time.Now())}
	d.mu.Lock()
	p.after = d.peers.After(a.After)
	room := true
	if len(d.peers.News(p.after)) > 0 {
		d.answer(p)
	} else {
		room = d.polls.add(p)
	}
	d.mu.Unlock()
	if !room {
		d.o.Bus.Reply(response(&m, nil, errTooManyAsked(who)))
	}
	d.poke()
}

func errTooManyAsked(who message.URL) error {
	return refused(message.CodeTooMany, "%s has %d questions waiting already, or all of this runtime %d", who, maxAsked, maxPolls)
}
