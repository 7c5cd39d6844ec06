package core_test

import (
	"context"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/protofly/protofly/core"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/minibus"
)

// step is a function of this project: its package's folder, and its name without the marks of pointers and closures.
type step struct{ folder, function string }

var (
	listedStep = regexp.MustCompile(`(?m)^//\t([a-z/]+)\s+([A-Za-z.]+)  `)
	closure    = regexp.MustCompile(`(\.func[0-9]+|\.gowrap[0-9]+|-fm)[0-9.]*$`)
	marks      = strings.NewReplacer("(*", "", ")", "")
)

// walkInDoc is what the package's documentation says of the walk: the lists under "A message's walk".
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
	if len(lists) != 3 {
		t.Fatalf("doc.go has %d lists of a walk, want one out and two in: %v", len(lists), lists)
	}
	if out, in := len(lists[0]), len(lists[1])+len(lists[2]); out > 15 || in > 15 {
		t.Errorf("%d functions out and %d in, want 15 at most", out, in)
	}
	return lists
}

// stepOf is a function as a stack names it; ok says whether it is one of this project that is no test's.
func stepOf(name string) (s step, ok bool) {
	name, ok = strings.CutPrefix(name, modulePath+"/")
	for cut := closure.ReplaceAllString(name, ""); cut != name; cut = closure.ReplaceAllString(name, "") {
		name = cut
	}
	slash := strings.LastIndexByte(name, '/') + 1
	folder, function, _ := strings.Cut(name[slash:], ".")
	return step{name[:slash] + folder, marks.Replace(function)}, ok && !strings.HasSuffix(folder, "_test")
}

// stackOf is the steps of a goroutine's stack as [runtime.Stack] prints it, the outermost first, and who has begun it.
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
// others of their packages; "": nothing. What is before the first of list and after the last does not count.
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

// A message goes as doc.go says: out to the pipe of a plug-in, and from there to the handler.
func TestWalkOfAMessage(t *testing.T) {
	lists := walkInDoc(t)
	out, in, handler := lists[0], lists[1], lists[2]
	build(t)
	node := startNode(t, "example.com")
	use := built.transportIDs[:1]
	untraced := func(c *core.Config) { c.Trace = nil } // a message that is traced goes step by step
	a := startRuntime(t, runtimeOptions{name: "a", nodes: []*nodeProcess{node}, use: use, change: untraced})
	b := startRuntime(t, runtimeOptions{name: "b", nodes: []*nodeProcess{node}, use: use, change: untraced})
	alice, bob := a.register("alice"), b.register("bob")
	taken := make(chan struct{}, 1)
	var mu sync.Mutex
	var delivered, handled []step
	var begun step
	bob.Handle(func(context.Context, hyperty.Received) {
		mu.Lock()
		defer mu.Unlock()
		handled, begun = here()
		taken <- struct{}{}
	})
	send := func() {
		if err := alice.Send(t.Context(), bob.URL(), map[string]int{"n": 1}); err != nil {
			t.Fatal(err)
		}
		<-taken
	}
	for end := time.Now().Add(waitTime); ; time.Sleep(time.Millisecond) {
		send()
		if c := a.connections(b); len(c) == 1 && c[0].State == message.Live {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no live connection")
		}
	}

	// Out: all stacks are looked at until one is in the system's call that writes to the pipe.
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	last := out[len(out)-1]
	wrong := make(chan string, 1)
	go func() {
		defer cancel()
		buf := make([]byte, 1<<20)
		problem := "no message that was seen in the pipe"
		for ctx.Err() == nil && problem != "" {
			for text := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
				if stack, _ := stackOf(text); slices.Contains(stack, out[0]) && slices.Contains(stack, last) {
					problem = follows(stack, out)
				}
			}
			time.Sleep(10 * time.Microsecond) // the senders are to have the processor as well
		}
		wrong <- problem
	}()
	for ctx.Err() == nil {
		send()
		time.Sleep(100 * time.Microsecond) // else the session's goroutine sends
	}
	if problem := <-wrong; problem != "" {
		t.Errorf("out: %s", problem)
	}

	// In: a trace event is told in the goroutine that delivers, up to the MessageBus; from there see walkInbox.
	at := slices.IndexFunc(in, func(s step) bool { return s.folder == "core/bus" })
	if at < 0 {
		t.Fatal("the list in does not pass the MessageBus")
	}
	stop := b.Watch(func(e trace.Event) {
		mu.Lock()
		defer mu.Unlock()
		if stack, _ := here(); e.Kind == trace.Deliver && e.To == bob.URL() && (delivered == nil || follows(delivered, in[:at+1]) != "") {
			delivered = stack
		}
	}, false)
	defer stop()
	for end := time.Now().Add(waitTime); time.Now().Before(end); {
		send()
		mu.Lock()
		done := delivered != nil && follows(delivered, in[:at+1]) == "" && begun == in[len(in)-1]
		mu.Unlock()
		if done {
			break
		}
		time.Sleep(time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	if delivered == nil {
		t.Fatal("no delivery was seen")
	}
	if problem := follows(delivered, in[:at+1]); problem != "" {
		t.Errorf("in: %s", problem)
	}
	if problem := follows(walkInbox(t), in[at:len(in)-1]); problem != "" {
		t.Errorf("in, to the inbox: %s", problem)
	}
	if begun != in[len(in)-1] {
		t.Errorf("the handler's goroutine was begun by %v, want %v", begun, in[len(in)-1])
	}
	if problem := follows(handled, handler); problem != "" {
		t.Errorf("to the handler: %s", problem)
	}
}

// walkInbox is the stack from the MessageBus to where it hands a message to a hyperty in this process. The last step is
// that of the receiver that it is handed to.
func walkInbox(t *testing.T) (stack []step) {
	t.Helper()
	const self, url message.URL = "hyperty-runtime://example.com/self", "hyperty://example.com/bob"
	b := bus.New(bus.Options{Runtime: self})
	defer b.Close()
	h, err := hyperty.Local(t.Context(), self, func(_ context.Context, to minibus.Receiver) (hyperty.Attachment, error) {
		of := reflect.TypeOf(to).Elem()
		inner, _ := stepOf(of.PkgPath() + "." + of.Name() + ".HandNow")
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
	b.Accept(t.Context(), &bus.Arrival{Remote: "hyperty-runtime://example.com/other", Message: message.Message{ID: message.NumberID(1),
		Type: message.Update, From: "hyperty://example.com/alice", To: url}})
	return stack
}

// receiver is another one, and notes when it is handed a message.
type receiver struct {
	minibus.Receiver
	note func()
}

func (r receiver) HandNow(m message.Message, receipt minibus.Receipt) bool {
	r.note()
	return r.Receiver.HandNow(m, receipt)
}

// attached is a hyperty's address and nothing else.
type attached message.URL

func (a attached) URL() message.URL                                                    { return message.URL(a) }
func (a attached) Post(context.Context, message.Message) error                         { return nil }
func (a attached) Watch(context.Context, message.Message, func(hyperty.Outcome)) error { return nil }
func (a attached) Close(context.Context) error                                         { return nil }
