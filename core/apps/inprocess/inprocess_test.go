package inprocess

import (
	"context"
	"errors"
	"testing"

	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

const (
	self  message.URL = "hyperty-runtime://example.com/self"
	alice message.URL = "hyperty://example.com/alice"
	bob   message.URL = "hyperty://example.com/bob"
)

// seat is an attachment that notes what is posted.
type seat struct {
	posted []message.Message
	closed bool
}

func (s *seat) URL() message.URL { return alice }
func (s *seat) Post(_ context.Context, m message.Message) error {
	s.posted = append(s.posted, m)
	return nil
}
func (s *seat) PostTracked(ctx context.Context, m message.Message, tell func(hyperty.Outcome)) error {
	tell(hyperty.Outcome{State: hyperty.Delivered})
	return s.Post(ctx, m)
}
func (s *seat) Close(context.Context) error       { s.closed = true; return nil }
func (s *seat) Release(ctx context.Context) error { return s.Close(ctx) }

// What is no message is refused where it is posted, each way, with the error that an application in another process gets; nothing of it
// goes to the runtime.
func TestBadMessagesAreRefused(t *testing.T) {
	var s seat
	h, err := New(t.Context(), self, func(context.Context, minibus.Receiver) (Attachment, error) { return &s, nil })
	if err != nil {
		t.Fatal(err)
	}
	for field, m := range map[string]message.Message{
		"body":   {Type: message.Update, To: bob, Body: []byte("{nonsense}")},
		"from":   {Type: message.Update, To: bob, From: "no url"},
		"source": {Type: message.Update, To: bob, Source: "no url"},
		"via":    {Type: message.Update, To: bob, Via: []message.URL{"no url"}},
		"type":   {To: bob},
	} {
		_, tracked := h.Track(t.Context(), m)
		named := m
		if named.From == "" {
			named.From = alice
		}
		ways := map[string]error{"posted": h.Post(t.Context(), m), "tracked": tracked}
		if field != "type" { // the bus of the hyperty says that itself
			_, ways["asked"] = h.Bus().Request(t.Context(), named)
		}
		for how, err := range ways {
			var wrong *message.FieldError
			if !errors.As(err, &wrong) || wrong.Field != field || !errors.Is(err, message.ErrMalformed) {
				t.Errorf("a bad %s, %s: %v", field, how, err)
			}
		}
	}
	if len(s.posted) > 0 {
		t.Errorf("posted: %+v", s.posted)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A message that comes before the hyperty listens waits for it, and is refused by the calls that do not wait. What the hyperty
// posts goes to its attachment, with an ID.
func TestNew(t *testing.T) {
	in := message.Message{ID: message.NumberID(1), Type: message.Update, From: bob, To: alice}
	var s seat
	handed := make(chan bool, 1)
	h, err := New(t.Context(), self, func(ctx context.Context, to minibus.Receiver) (Attachment, error) {
		if to.TryHand(in, minibus.Receipt{}) || to.TryHandRun([]minibus.Delivery{{Message: in}}) > 0 {
			t.Error("a hyperty that does not listen yet has taken a message")
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if to.Hand(gone, in, minibus.Receipt{}) {
			t.Error("a hyperty that does not listen yet has taken a message whose time is over")
		}
		go func() { handed <- to.Hand(ctx, in, minibus.Receipt{}) }()
		return &s, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := h.Receive(t.Context()); err != nil || m.From != bob || !<-handed {
		t.Errorf("received %+v: %v", m, err)
	}
	if err := h.Send(t.Context(), bob, nil); err != nil {
		t.Error(err)
	}
	d, err := h.SendTracked(t.Context(), bob, message.Update, nil)
	if err != nil || d.Outcome().State != hyperty.Delivered {
		t.Errorf("tracked: %+v, %v", d, err)
	}
	if len(s.posted) != 2 || s.posted[0].ID.IsZero() || s.posted[1].ID != d.ID || s.posted[0].ID == d.ID || s.posted[0].From != alice {
		t.Errorf("posted: %+v", s.posted)
	}
	if err := h.Close(t.Context()); err != nil || !s.closed {
		t.Errorf("closed: %v, %v", s.closed, err)
	}
	refused := errors.New("refused")
	if _, err := New(t.Context(), self, func(context.Context, minibus.Receiver) (Attachment, error) { return nil, refused }); err != refused {
		t.Errorf("an attachment that is refused: %v", err)
	}
}

// refusals counts the messages that are refused, by code.
type refusals map[int]int

func (r refusals) Settled(_ uint64, _ uint32, code int) { r[code]++ }
func (r refusals) Failed(_ uint64, _ uint32, _ message.Message, why error) {
	var known *message.ResponseError
	if errors.As(why, &known) {
		r[known.Code]++
	}
}

// Messages to addresses below the hyperty's, at which it does not listen, are refused where they come, and nothing waits for them.
func TestNobodyListensBelow(t *testing.T) {
	var to minibus.Receiver
	h, err := New(t.Context(), self, func(_ context.Context, r minibus.Receiver) (Attachment, error) {
		to = r
		return &seat{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	count := refusals{}
	run := make([]minibus.Delivery, 3)
	for i := range run {
		run[i] = minibus.Delivery{Message: message.Message{Type: message.Update, From: bob, To: alice + "/desk"}, Receipt: minibus.Receipt{By: count}}
	}
	if n := to.TryHandRun(run); n != 3 || count[message.CodeNotFound] != 3 {
		t.Errorf("%d are taken, refused: %v", n, count)
	}
	got := make(chan message.Message, 3)
	stop := h.Bus().Listen(alice+"/desk", func(_ context.Context, m message.Message) { got <- m })
	if n := to.TryHandRun(run); n != 3 {
		t.Errorf("%d are taken", n)
	}
	for range run {
		<-got
	}
	stop()
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
