package core_test

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/apps/inprocess"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/minibus"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// step is a function of this project: its package's folder, and its name without the marks of pointers and closures.
type step struct{ folder, function string }

var (
	listedStep = regexp.MustCompile(`(?m)^//\t([a-z/]+)\s+([A-Za-z.]+)  `)
	closure    = regexp.MustCompile(`(\.func[0-9]+|\.gowrap[0-9]+|-fm)[0-9.]*$`)
	marks      = strings.NewReplacer("(*", "", ")", "")
)

// walkInDoc returns the lists under "A message's walk" in the package's documentation.
func walkInDoc(t *testing.T) (lists [][]step) {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "# A message's walk")
	section, _, _ = strings.Cut(section, "\n// # ")
	for paragraph := range strings.SplitSeq(section, "\n//\n") {
		var list []step
		for _, m := range listedStep.FindAllStringSubmatch(paragraph, -1) {
			list = append(list, step{m[1], m[2]})
		}
		if list != nil {
			lists = append(lists, list)
		}
	}
	if len(lists) != 6 {
		t.Fatalf("doc.go has %d lists of a walk, want one out, two in, and three of an application in another process: %v", len(lists), lists)
	}
	if out, in := len(lists[0]), len(lists[1])+len(lists[2]); out > 15 || in > 15 {
		t.Errorf("%d functions out and %d in, want 15 at most", out, in)
	}
	return lists
}

// stepOf is the step of a function as a stack names it; ok: it is a function of this project outside of tests.
func stepOf(name string) (s step, ok bool) {
	name, ok = strings.CutPrefix(name, modulePath+"/")
	for cut := closure.ReplaceAllString(name, ""); cut != name; cut = closure.ReplaceAllString(name, "") {
		name = cut
	}
	slash := strings.LastIndexByte(name, '/') + 1
	folder, function, _ := strings.Cut(name[slash:], ".")
	return step{name[:slash] + folder, marks.Replace(function)}, ok && !strings.HasSuffix(folder, "_test")
}

// stackOf returns the steps of a goroutine's stack as [runtime.Stack] prints it, the outermost first, and the function that
// started it.
func stackOf(text string) (steps []step, begun step) {
	for line := range strings.SplitSeq(text, "\n") {
		if name, ok := strings.CutPrefix(line, "created by "); ok {
			name, _, _ = strings.Cut(name, " in goroutine ")
			begun, _ = stepOf(name)
		} else if end := strings.LastIndexByte(line, '('); end > 0 && line[0] != '\t' {
			if s, ok := stepOf(line[:end]); ok {
				steps = append(steps, s)
			}
		}
	}
	slices.Reverse(steps)
	return steps, begun
}

// here is the stack of the caller.
func here() (steps []step, begun step) {
	buf := make([]byte, 1<<16)
	return stackOf(string(buf[:runtime.Stack(buf, false)]))
}

// follows tells what is wrong with a stack that should pass the functions of list, in order, and between two of them only
// others of their packages; "": nothing. Functions before the first of list and after the last do not count.
func follows(stack, list []step) string {
	at := slices.Index(stack, list[0])
	if at < 0 {
		return list[0].function + " is not passed"
	}
	next := 1
	for _, s := range stack[at+1:] {
		if next == len(list) {
			break
		}
		before, after := list[next-1], list[next]
		switch {
		case s == after:
			next++
		case !within(s, before) && !within(s, after):
			return "between " + before.function + " and " + after.function + " is " + s.folder + " " + s.function
		}
	}
	if next < len(list) {
		return list[next].function + " is not passed after " + list[next-1].function
	}
	return ""
}

// within tells whether a function is in the other's package, or in one inside it.
func within(s, other step) bool {
	return s.folder == other.folder || strings.HasPrefix(s.folder, other.folder+"/")
}

// seen sends messages until for each of the lists a goroutine has passed it. It looks at the stacks of all goroutines again
// and again: most often they are in the system call at the end of a list. It returns what was wrong with the other stacks.
func seen(t *testing.T, send func(), lists ...[]step) (problems map[string]bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	wrong := make([]string, len(lists))
	for i, list := range lists {
		wrong[i] = "no goroutine has passed " + list[len(list)-1].function
	}
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		defer cancel()
		buf := make([]byte, 1<<20)
		for ctx.Err() == nil && slices.ContainsFunc(wrong, func(s string) bool { return s != "" }) {
			for text := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
				stack, _ := stackOf(text)
				for i, list := range lists {
					if wrong[i] != "" && slices.Contains(stack, list[0]) && slices.Contains(stack, list[len(list)-1]) {
						wrong[i] = follows(stack, list)
					}
				}
			}
			time.Sleep(10 * time.Microsecond) // the senders need the processor too
		}
	}()
	for ctx.Err() == nil {
		send()
		time.Sleep(100 * time.Microsecond) // without a pause the session's goroutine would send
	}
	<-looked
	problems = map[string]bool{}
	for _, problem := range wrong {
		if problem != "" {
			problems[problem] = true
		}
	}
	return problems
}

// meet sends messages until the runtimes have a live connection.
func meet(t *testing.T, a, b *running, send func()) {
	t.Helper()
	for end := time.Now().Add(waitTime); ; time.Sleep(time.Millisecond) {
		send()
		if c := a.connections(b); len(c) == 1 && c[0].State == message.Live {
			return
		}
		if time.Now().After(end) {
			t.Fatal("no live connection")
		}
	}
}

// A message of an application in another process goes as doc.go says, up to where the other lists begin. Here that process is
// the test's.
func TestWalkFromAnotherProcess(t *testing.T) {
	lists := walkInDoc(t)
	build(t)
	node := startNode(t, "example.com")
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: built.transportIDs[:1], change: func(c *core.Config) {
		c.Trace, c.Socket = nil, filepath.Join(c.DataDir, "api")
	}})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: built.transportIDs[:1]})
	client, err := hyperty.Dial(t.Context(), hyperty.Options{Socket: filepath.Join(a.dir, "api")})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	alice, err := client.Register(t.Context(), hyperty.Registration{Name: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	bob := b.register("bob")
	taken := make(chan struct{}, 1)
	bob.Handle(func(context.Context, hyperty.Received) { taken <- struct{}{} })
	send := func() {
		if err := alice.Send(t.Context(), bob.URL(), map[string]int{"n": 1}); err != nil {
			t.Fatal(err)
		}
		<-taken
	}
	meet(t, a, b, send)
	for problem := range seen(t, send, lists[3:]...) {
		t.Error(problem)
	}
}

// strollers are a hyperty of one runtime and one of another. Nothing is traced: a traced message takes more steps.
func strollers(t *testing.T) (a, b *running, alice, bob *hyperty.Hyperty) {
	t.Helper()
	build(t)
	node := startNode(t, "example.com")
	untraced := func(c *core.Config) { c.Trace = nil }
	a = startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: built.transportIDs[:1], change: untraced})
	b = startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: built.transportIDs[:1], change: untraced})
	return a, b, a.register("alice"), b.register("bob")
}

// A message goes out as doc.go says, to the pipe of a plug-in.
func TestWalkOut(t *testing.T) {
	out := walkInDoc(t)[0]
	a, b, alice, bob := strollers(t)
	taken := make(chan struct{}, 1)
	bob.Handle(func(context.Context, hyperty.Received) { taken <- struct{}{} })
	send := func() {
		if err := alice.Send(t.Context(), bob.URL(), map[string]int{"n": 1}); err != nil {
			t.Fatal(err)
		}
		<-taken
	}
	meet(t, a, b, send)
	for problem := range seen(t, send, out) {
		t.Error(problem)
	}
}

// A message comes in as doc.go says, from the pipe of a plug-in to the handler. A trace event is made in the goroutine that
// delivers the message, up to the MessageBus; for the steps after that see walkInbox.
func TestWalkIn(t *testing.T) {
	lists := walkInDoc(t)
	in, toHandler := lists[1], lists[2]
	at := slices.IndexFunc(in, func(s step) bool { return s.folder == "core/bus" })
	if at < 0 {
		t.Fatal("the list does not pass the MessageBus")
	}
	a, b, alice, bob := strollers(t)
	type stack struct {
		steps []step
		begun step
	}
	delivered, handled := make(chan stack, 1), make(chan stack, 1)
	note := func(c chan stack) {
		steps, begun := here()
		c <- stack{steps, begun}
	}
	bob.Handle(func(context.Context, hyperty.Received) { note(handled) })
	send := func() (h stack) {
		if err := alice.Send(t.Context(), bob.URL(), map[string]int{"n": 1}); err != nil {
			t.Fatal(err)
		}
		return <-handled
	}
	meet(t, a, b, func() { send() })
	stop := b.Watch(func(e trace.Event) {
		if e.Kind == trace.Deliver && e.To == bob.URL() {
			note(delivered)
		}
	}, false)
	defer stop()
	last := in[len(in)-1]
	problem := ""
	for end := time.Now().Add(waitTime); time.Now().Before(end); time.Sleep(time.Millisecond) {
		h := send()
		if problem = follows((<-delivered).steps, in[:at+1]); problem == "" && h.begun != last {
			problem = "the handler's goroutine was begun by " + h.begun.function + ", not by " + last.function
		}
		if problem == "" {
			problem = follows(h.steps, toHandler)
		}
		if problem == "" { // else another goroutine delivered it: the session's, or one that was a step further
			break
		}
	}
	if problem != "" {
		t.Error(problem)
	}
	if problem := follows(walkInbox(t), in[at:len(in)-1]); problem != "" {
		t.Errorf("to the inbox: %s", problem)
	}
}

// walkInbox returns the stack from the MessageBus to where it hands a message to a hyperty in this process. The last step is
// the receiver that gets it.
func walkInbox(t *testing.T) (stack []step) {
	t.Helper()
	const self, url message.URL = "hyperty-runtime://example.com/self", "hyperty://example.com/bob"
	b := bus.New(bus.Options{Runtime: self})
	defer b.Close()
	h, err := inprocess.New(t.Context(), self, func(_ context.Context, to minibus.Receiver) (inprocess.Attachment, error) {
		of := reflect.TypeOf(to).Elem()
		inner, _ := stepOf(of.PkgPath() + "." + of.Name() + ".TryHandRun")
		b.ListenThrough(url, receiver{to, func() {
			stack, _ = here()
			stack = append(stack, inner)
		}})
		return attached(url), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(t.Context())
	b.TryAccept("hyperty-runtime://example.com/other", []minibus.Delivery{{Message: message.Message{ID: message.NumberID(1),
		Type: message.Update, From: "hyperty://example.com/alice", To: url}}})
	return stack
}

// receiver is a receiver around another one, and notes its stack when it gets a message.
type receiver struct {
	minibus.Receiver
	note func()
}

func (r receiver) TryHandRun(run []minibus.Delivery) int {
	r.note()
	return r.Receiver.TryHandRun(run)
}

// attached is a hyperty's address and nothing else.
type attached message.URL

func (a attached) URL() message.URL                            { return message.URL(a) }
func (a attached) Post(context.Context, message.Message) error { return nil }
func (a attached) PostTracked(context.Context, message.Message, func(hyperty.Outcome)) error {
	return nil
}
func (a attached) Close(context.Context) error   { return nil }
func (a attached) Release(context.Context) error { return nil }
