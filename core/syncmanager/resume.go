package syncmanager

import (
	"context"
	"fmt"

	"github.com/protofly/protofly/core/syncmanager/internal/protocol"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// maxListed is how many observers a reporter is told of that goes on with its object; of more it hears when they subscribe again.
const maxListed = 4096

// resume looks whether the wished object is there already. If its reporter goes on with it, done says that the answer is
// given, or will be. Otherwise the address is reserved until release is called.
func (m *Manager) resume(msg message.Message, body protocol.Request, doc object.Document) (done bool, err error) {
	l := m.lock()
	defer l.unlock()
	key := body.Resource.Canonical()
	if r := l.reported[key]; r != nil && body.Resource != "" {
		return true, l.goOn(r, msg, body, doc)
	}
	if err := l.usage.Reporter(msg.From, l.objects()); err != nil || body.Resource == "" {
		return false, err
	}
	if _, busy := l.creating[key]; busy {
		return false, protocol.Refuse(message.CodeConflict, string(body.Resource)+" is reported already")
	}
	l.creating[key] = struct{}{}
	return false, nil
}

// goOn has a reporter go on with an object that is there.
func (m locked) goOn(r *reported, msg message.Message, body protocol.Request, doc object.Document) error {
	since, away := r.Away()
	switch {
	case !r.ReportedBy(msg.From) && away:
		return protocol.Refuse(message.CodeConflict, fmt.Sprintf("%s is reported by %s, which is away since %s: only that hyperty may go on with it",
			r.URL(), r.Reporter(), object.Time(since)))
	case !r.ReportedBy(msg.From), !body.Resume && !(body.Wish && away):
		return protocol.Refuse(message.CodeConflict, string(body.Resource)+" is reported already")
	}
	lives, grace, err := m.lifeOf(msg.From, body.Value)
	if err != nil {
		return err
	}
	if body.Value.Keep != r.keep {
		return protocol.Refuse(message.CodeConflict, fmt.Sprintf("%s is kept: %v. That stays until the object is deleted", r.URL(), r.keep))
	}
	m.alter(r, write{
		next: func() (replicaOf, error) {
			if !body.Resume {
				return replicaOf{r.Metadata(), r.Document()}, nil
			}
			meta, doc, err := r.Resumed(body.Value, doc)
			return replicaOf{meta, doc}, err
		},
		apply: func() error {
			if body.Resume {
				if err := r.Resume(body.Value, doc); err != nil {
					return err
				}
			}
			r.Adopt(lives, grace, r.keep)
			return nil
		},
		then: func(err error) {
			if err != nil {
				m.answer(protocol.Refusal(msg, err))
				return
			}
			m.returned(r)
			m.answerReporter(r, msg, body.Resume)
		},
	})
	return nil
}

// answerReporter tells a reporter that it goes on with its object, and who observes: resumed, with the value that it has; else with the
// value that was here.
func (m locked) answerReporter(r *reported, msg message.Message, resumed bool) {
	observers := make(message.URLs, 0, 8)
	for _, o := range r.Everybody() {
		if len(observers) == maxListed {
			break
		}
		observers = append(observers, o.URL)
	}
	if resumed {
		m.answer(protocol.Created(msg, r.URL(), r.Children(), observers))
		return
	}
	now := r.Snapshot()
	m.task(msg.From, func(ctx context.Context) {
		m.inTurn(ctx, msg.From, func() { m.post(ctx, now.Reclaimed(msg, observers)) })
	})
}
