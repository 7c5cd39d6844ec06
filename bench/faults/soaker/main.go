// Soaker is an application of the case soak of bench/faults, a process of its own, which can be killed. It sends tracked messages and
// broadcasts to its peers, asks them, reports a data object and observes those of the others.
//
//	soaker -socket S -name N -life L -book FILE -rate R -peers P,…
//
// It appends what happens to the book, a line each, so that the book of one that was killed is whole:
//
//	sent TO N            tracked message N is about to be posted
//	outcome TO N STATE   what became of it; not-posted: posting it failed
//	handled FROM LIFE N  its handler has taken a message and is about to return
//	asked OK|FAILED|WRONG  a request
//	set URL N            its object has the value N
//	seen URL N           an object that it observes has the value N
//	wrong TEXT           what must not be
//	end                  it was interrupted, and has heard of all its messages
//	quiet                everything is settled since the file -quiet is there
//
// It prints "ready". It sends, asks and changes nothing while the file -quiet is there. When it is interrupted it closes its application.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

const (
	domain      = "example.com"
	askTime     = 5 * time.Second
	outcomeTime = 2 * time.Minute // more than any message may take
)

// soaker is the application.
type soaker struct {
	name  string
	life  int
	rate  int
	peers []string
	app   *hyperty.Hyperty

	book     *os.File
	quiet    string         // the file that asks for quiet
	outcomes sync.WaitGroup // goroutines that wait for outcomes, from the sender's
}

// note is the body of a tracked message.
type note struct {
	From string `json:"from"`
	Life int    `json:"life"`
	N    int    `json:"n"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "soaker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	s := &soaker{}
	socket := flag.String("socket", "", "the local API of the application's runtime")
	book := flag.String("book", "", "the file to which what happens is appended")
	flag.StringVar(&s.quiet, "quiet", "", "nothing is done while this file is there")
	peers := flag.String("peers", "", "the names of the others, with commas between them")
	flag.StringVar(&s.name, "name", "", "the application's name")
	flag.IntVar(&s.life, "life", 1, "which process of this name it is")
	flag.IntVar(&s.rate, "rate", 10, "tracked messages a second")
	flag.Parse()
	s.peers = strings.Split(*peers, ",")
	if s.book, err = os.OpenFile(*book, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	defer func() { _ = s.book.Close() }()
	client, err := hyperty.Dial(ctx, hyperty.Options{Socket: *socket, Wait: time.Minute})
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
		defer cancel()
		err = errors.Join(err, client.Close(end))
	}()
	if s.app, err = client.Register(ctx, hyperty.Registration{Name: s.name}); err != nil {
		return err
	}
	s.app.Handle(s.take)
	fmt.Println("ready")
	var work sync.WaitGroup
	for _, job := range []func(context.Context){s.send, s.ask, s.report, s.observe} {
		work.Go(func() { job(ctx) })
	}
	work.Wait()
	s.enter("end")
	return nil
}

// enter appends a line to the book.
func (s *soaker) enter(format string, args ...any) {
	if _, err := fmt.Fprintf(s.book, format+"\n", args...); err != nil {
		panic(err) // a book with gaps would tell lies
	}
}

// take handles messages and answers requests.
func (s *soaker) take(ctx context.Context, m hyperty.Received) {
	if m.Type == message.Read {
		var question struct{ N int }
		if err := m.Decode(&question); err == nil {
			_ = m.Answer(ctx, map[string]any{"n": question.N, "by": s.name}) // after an error the asker's request fails
		}
		return
	}
	var n note
	if err := m.Decode(&n); err != nil || m.From != address(n.From) {
		s.enter("wrong message of %s: %.200s", m.From, m.Body)
		return
	}
	s.enter("handled %s %d %d", n.From, n.Life, n.N)
}

func address(name string) message.URL { return message.URL("hyperty://" + domain + "/" + name) }

// every calls do at each tick that is not in a quiet time, until ctx ends; once calls rest when a quiet time begins.
func (s *soaker) every(ctx context.Context, d time.Duration, do, rest func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for rested := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := os.Stat(s.quiet); err != nil {
			rested = false
			do()
		} else if !rested {
			rested = true
			rest()
		}
	}
}

// send sends tracked messages, one to a peer at a time; each twentieth goes to all of them.
func (s *soaker) send(ctx context.Context) {
	n := 0
	s.every(ctx, time.Second/time.Duration(s.rate), func() {
		n++
		if n%20 == 0 {
			for _, p := range s.peers {
				s.track(ctx, p, n)
			}
			return
		}
		s.track(ctx, s.peers[n%len(s.peers)], n)
	}, func() {
		s.outcomes.Wait()
		s.enter("quiet")
	})
	s.outcomes.Wait()
}

func (s *soaker) track(ctx context.Context, to string, n int) {
	s.enter("sent %s %d", to, n)
	post, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	d, err := s.app.SendTracked(post, address(to), message.Update, note{s.name, s.life, n})
	if err != nil {
		s.enter("outcome %s %d not-posted %v", to, n, err)
		return
	}
	s.outcomes.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), outcomeTime)
		defer cancel()
		if o, err := d.Wait(ctx); err != nil {
			s.enter("outcome %s %d none %v", to, n, err)
		} else {
			s.enter("outcome %s %d %s %d %.200s", to, n, strings.ReplaceAll(string(o.State), " ", "-"), o.Code, o.Reason)
		}
	})
}

// ask asks the peers, one after the other. That a peer is away is no fault.
func (s *soaker) ask(ctx context.Context) {
	n := 0
	s.every(ctx, time.Second/2, func() {
		n++
		to := s.peers[n%len(s.peers)]
		ask, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		result, err := s.app.Request(ask, address(to), message.Read, map[string]int{"n": n})
		want := string(message.Encode(map[string]any{"by": to, "n": n}))
		switch {
		case err != nil:
			s.enter("asked failed %v", err)
		case string(result.Value) != want:
			s.enter("wrong answer %.200s, want %s", result.Value, want)
		default:
			s.enter("asked ok")
		}
	}, func() {})
}
