package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// This file runs the attacks, at the rate that the attacker's processes reach, beside honest messages.
const (
	attackRate   = 500              // honest messages a second, both ways together
	attackRounds = 23               // windows: 4 before, 15 during the attack (30 s), 4 after
	calmRounds   = 4                // windows before, and after
	attackBound  = 96 << 20         // bytes that a node, a runtime or a plug-in may grow by
	coolTime     = 20 * time.Second // the longest time until all is as before
	quicPort     = 47_443           // the port of alice's QUIC plug-in, which an attacker has to know
)

// attack is one kind of attack: how it is started, and over which transport it goes.
type attack struct {
	name, about string
	transports  []string
	start       func(ctx context.Context, b *bed) (stop func(), err error)
	prepare     func(ctx context.Context, b *bed) error // before the runtimes start; nil: nothing
	end         func(ctx context.Context, b *bed) error // after all; nil: nothing
}

// attacks returns all kinds of attacks.
func attacks() []attack {
	client := func(name string) func(context.Context, *bed) (func(), error) {
		return func(ctx context.Context, b *bed) (func(), error) { return b.hostileClient(ctx, name) }
	}
	over, both := []string{relay}, []string{relay, "quic"}
	return append([]attack{
		{name: "http", about: "connections to the node that say nothing, or never end their request", transports: over, start: client("http"), prepare: compileClient},
		{name: "unproven", about: "WebSockets to the node that prove nothing", transports: over, start: client("unproven"), prepare: compileClient},
		{name: "strangers", about: "frames from runtimes of invented domains, a new one for each burst", transports: both, start: client("strangers"), prepare: compileClient},
		{name: "hellos", about: "first messages of handshakes that go no further", transports: both, start: client("hellos"), prepare: compileClient},
		{name: "answers", about: "responses to alice's registry that nobody asked for", transports: both, start: client("answers"), prepare: compileClient},
		{name: "products", about: "requests with lists whose product is large", transports: over, start: client("products"), prepare: compileClient},
		{name: "reads", about: "small look-ups with large answers", transports: over, start: client("reads"), prepare: compileClient},
		{name: "entries", about: "large entries in the Domain Registry, under one fresh key after the other", transports: over, start: client("entries"), prepare: compileClient},
		{name: "subscribe", about: "subscriptions to addresses that nobody has", transports: over, start: client("subscribe"), prepare: compileClient},
		{name: "garbage", about: "frames that cannot be read", transports: over, start: client("garbage"), prepare: compileClient},
		{name: "newdomains", about: "questions in the name of domains that there are not", transports: both, start: client("newdomains"), prepare: compileClient},
		{name: "half-open", about: "QUIC handshakes that are never ended", transports: []string{"quic"}, start: halfOpen, prepare: prepareHalfOpen},
		{name: "thief", about: "a plug-in that tries to read what is not its own, leaves processes behind without end, and ignores every signal; it gets nothing, and alice's runtime ends within 6 s with all of them", transports: over,
			start: stolen, prepare: installThief, end: aliceEnds},
		{name: "api", about: "connections to the local API that say nothing it knows", transports: over, start: strangeClients},
	}, append(pluginAttacks(), peerAttacks()...)...)
}

// attackFaults returns the attacks as cases.
func attackFaults() (list []fault) {
	for _, a := range attacks() {
		list = append(list, fault{"hostile/" + a.name, a.about + "; nothing lost, the honest messages' p99 at most doubles while it goes on for 30 s, node, runtimes and plug-ins grow by at most 96 MiB, and afterwards all is as before; a round is 2 s",
			a.transports, attackRounds, attackRate, func(ctx context.Context, b *bed) error { return b.attacked(ctx, a) }})
	}
	return list
}

// attacked runs an attack beside honest messages.
func (b *bed) attacked(ctx context.Context, a attack) error {
	if a.prepare != nil {
		if err := a.prepare(ctx, b); err != nil {
			return err
		}
	}
	b.nodeConfig = "exempt: [127.0.0.1/32]\n" // for the honest runtimes; the attacker uses another address
	if err := b.start(ctx, b.use()...); err != nil {
		return err
	}
	for _, f := range b.flows {
		f.measure()
	}
	b.flow(ctx)
	if b.transport != relay {
		if err := b.direct(ctx, b.transport, time.Time{}, directTime); err != nil {
			return err
		}
	}
	if err := wait(ctx, slowWindow); err != nil {
		return err
	}
	before, err := b.observe(ctx, b.quiet())
	if err != nil {
		return err
	}
	stop, err := a.start(ctx, b)
	if err != nil {
		return err
	}
	during, err := b.observe(ctx, b.attacking())
	stop()
	if err != nil {
		return err
	}
	if err := b.recovered(ctx); err != nil {
		return err
	}
	after, err := b.observe(ctx, b.rounds-b.result.Rounds)
	if err != nil {
		return err
	}
	b.weigh(before, during, after)
	if a.end != nil {
		return a.end(ctx, b)
	}
	return nil
}

// quiet returns how many windows are measured before an attack, and after it.
func (b *bed) quiet() int { return min(calmRounds, max(1, b.rounds/4)) }

// attacking returns how many windows are measured during an attack.
func (b *bed) attacking() int { return max(1, b.rounds-2*b.quiet()) }

// attackTime returns how long an attack takes.
func (b *bed) attackTime() time.Duration { return time.Duration(b.attacking()) * slowWindow }

// observation has the measurements of some windows.
type observation struct {
	p99    []time.Duration  // of the honest messages, one for each window
	memory map[string]int64 // the peak of each process, in bytes
}

// observe measures for n windows.
func (b *bed) observe(ctx context.Context, n int) (o observation, err error) {
	o.memory = map[string]int64{}
	for range n {
		for _, f := range b.flows {
			f.latencies()
		}
		pause, end := b.watch(), time.Now().Add(slowWindow)
		for time.Now().Before(end) {
			if err := b.weighProcesses(ctx, o.memory); err != nil {
				return o, err
			}
			if err := wait(ctx, 100*time.Millisecond); err != nil {
				return o, err
			}
		}
		one, other := b.flows[0].latencies(), b.flows[1].latencies()
		p99 := max(quantile(one, 0.99), quantile(other, 0.99))
		o.p99 = append(o.p99, p99)
		b.result.round(pause(), 0)
		b.say("  %3d  honest p99 %.1f ms of %d messages; %s", b.result.Rounds, milliseconds(p99), len(one)+len(other), shownMemory(o.memory))
	}
	return o, nil
}

// weighProcesses updates the peaks of the memory of the node, the runtimes and their plug-ins.
func (b *bed) weighProcesses(ctx context.Context, most map[string]int64) error {
	pids := map[string]int{"node": b.node.PID()}
	for _, s := range b.sides {
		pids[s.Name] = s.PID()
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		st, err := s.ask(ctx)
		cancel()
		if err != nil { // some attacks are on the local API
			b.unanswered++
			continue
		}
		b.asked++
		b.notePlugins(s.Name, st)
		for _, p := range st.Plugins {
			if p.PID != 0 {
				pids[s.Name+"'s "+p.Name] = p.PID
			}
		}
	}
	for name, pid := range pids {
		used, err := resident(pid)
		if err != nil {
			continue // it was started again
		}
		most[name] = max(most[name], used)
	}
	return nil
}

func shownMemory(most map[string]int64) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(most)) {
		list = append(list, fmt.Sprintf("%s %.0f", name, mebibytes(most[name])))
	}
	return strings.Join(list, ", ") + " MiB"
}

// weigh compares the measurements with the bounds.
func (b *bed) weigh(before, during, after observation) {
	was, is, then := quantile(before.p99, 0.5), quantile(during.p99, 0.5), quantile(after.p99, 0.5)
	b.result.figure("honest_p99_before_ms", milliseconds(was))
	b.result.figure("honest_p99_during_ms", milliseconds(is))
	b.result.figure("honest_p99_at_first_ms", milliseconds(during.p99[0]))
	b.result.figure("honest_p99_after_ms", milliseconds(then))
	b.result.figure("memory_bound_mib", mebibytes(attackBound))
	if is > 2*max(was, then) {
		b.result.late("the honest messages' p99 is %.1f ms beside the attack, %.1f ms before and %.1f ms after: at most twice as much is promised", milliseconds(is), milliseconds(was), milliseconds(then))
	}
	for name, used := range during.memory {
		grown := used - before.memory[name]
		if before.memory[name] == 0 || b.harmful != "" && strings.HasSuffix(name, b.harmful) {
			continue // it did not run before, or it is the attacker's own
		}
		b.result.figure("grown_"+strings.NewReplacer("'s ", "_", " ", "_", "-", "_").Replace(name)+"_mib", mebibytes(grown))
		if grown > attackBound {
			b.result.late("%s has grown by %.1f MiB; at most %.0f MiB are promised", name, mebibytes(grown), mebibytes(attackBound))
		}
	}
	b.result.figure("status_unanswered", float64(b.unanswered))
	if b.unanswered > b.asked/10 {
		b.result.fail("the runtimes' own status was not answered %d times of %d", b.unanswered, b.asked+b.unanswered)
	}
}

// recovered registers a new application at each side after the attack, and sends a request from one to the other: what the attack
// used up must be free again.
func (b *bed) recovered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, coolTime)
	defer cancel()
	began := time.Now()
	for try := 0; ; try++ {
		err := b.question(ctx, fmt.Sprintf("after-%d", try))
		if err == nil {
			b.result.figure("question_after_ms", milliseconds(time.Since(began)))
			return nil
		}
		if wait(ctx, 200*time.Millisecond) != nil {
			b.result.fail("after the attack a new application is not reached: %v", err)
			return nil
		}
	}
}

func (b *bed) question(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	app, err := b.sides[1].client.Register(ctx, hyperty.Registration{Name: name})
	if err != nil {
		return err
	}
	defer func() { _ = app.Close(context.WithoutCancel(ctx)) }()
	app.Handle(func(ctx context.Context, m hyperty.Received) { _ = m.Answer(ctx, "here") })
	result, err := b.sides[0].app.Request(ctx, app.URL(), message.Read, nil)
	if err == nil && !strings.Contains(string(result.Value), "here") {
		err = fmt.Errorf("the answer is %.80s", result.Value)
	}
	return err
}

// The attacking programs are compiled before the measurements.
func (b *bed) client() string { return filepath.Join(b.house.Dir, "hostile-client") }
func (b *bed) dialer() string { return filepath.Join(b.house.Dir, "hostile-dialer") }

func compileClient(ctx context.Context, b *bed) error {
	return rig.Compile(ctx, b.client(), "plugins/msgnode-ws/hostile-client", "")
}

// hostileClient starts the program that attacks the node, or alice's runtime through the node.
func (b *bed) hostileClient(ctx context.Context, name string) (func(), error) {
	return b.attacker(ctx, b.client(), "-attack", name, "-node", b.node.URL, "-domain", domain, "-victim", string(b.sides[0].URL))
}

// behind returns a command to put in front of an attacker's, which gives it the lowest priority. A real attacker has processors of
// its own, and the cost of the attack to others is measured, not the cost of attacking.
func behind() []string {
	if chrt, err := exec.LookPath("chrt"); err == nil {
		return []string{chrt, "--idle", "0"}
	}
	if nice, err := exec.LookPath("nice"); err == nil {
		return []string{nice, "-n", "19"}
	}
	return nil
}

// attacker starts an attacking program.
func (b *bed) attacker(ctx context.Context, args ...string) (func(), error) {
	p, err := b.house.Program(ctx, "attacker", append(behind(), args...)...)
	if err != nil {
		return nil, err
	}
	return p.Stop, nil
}

// prepareHalfOpen makes alice's QUIC plug-in listen at a port that the attacker knows.
func prepareHalfOpen(ctx context.Context, b *bed) error {
	if err := rig.Compile(ctx, b.dialer(), "plugins/quic/hostile-dialer", ""); err != nil {
		return err
	}
	b.config[0] = fmt.Sprintf("stubs:\n  quic:\n    listen: \"127.0.0.1:%d\"\n", quicPort)
	return nil
}

func halfOpen(ctx context.Context, b *bed) (func(), error) {
	return b.attacker(ctx, b.dialer(), "-target", fmt.Sprintf("127.0.0.1:%d", quicPort))
}

// harmAfter returns when a plug-in that attacks its own runtime begins: after the windows before the attack.
func (b *bed) harmAfter() time.Duration { return 8*time.Second + time.Duration(b.quiet())*slowWindow }

// strangeClients connects to the local API again and again, and sends unknown bytes.
func strangeClients(ctx context.Context, b *bed) (func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []net.Conn
		defer func() {
			for _, c := range open {
				_ = c.Close()
			}
		}()
		for ctx.Err() == nil {
			c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", b.sides[0].Socket)
			if err == nil {
				_, _ = c.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
				open = append(open, c)
			} else {
				_ = wait(ctx, 10*time.Millisecond)
			}
			if len(open) > 600 {
				_ = open[0].Close()
				open = open[1:]
				_ = wait(ctx, time.Millisecond)
			}
		}
	}()
	return func() { cancel(); <-done }, nil
}
