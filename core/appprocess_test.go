package core_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// applicationVariable has this program be an application, which can be killed: it is what the application does, the socket of its
// runtime, its name and an argument.
const applicationVariable = "TEST_APPLICATION"

// beApplication is such an application. It says that it is ready, and ends only by a signal.
func beApplication(words []string) {
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	client, err := hyperty.Dial(ctx, hyperty.Options{Socket: words[1]})
	must(err)
	h, err := client.Register(ctx, hyperty.Registration{Name: words[2]})
	must(err)
	switch words[0] {
	case "send": // numbers to an address, in the life that the second half of the argument is
		to, life, _ := strings.Cut(words[3], ",")
		fmt.Println("ready")
		for n := 1; ; n++ {
			must(h.Send(ctx, message.URL(to), map[string]any{"n": n, "life": life}))
		}
	case "observe":
		o, err := h.Objects().Observe(ctx, message.URL(words[3]))
		must(err)
		fmt.Println("ready")
		for {
			_, err := o.Next(ctx)
			must(err)
		}
	}
}

// startApplication starts such an application.
func startApplication(t *testing.T, does, socket, name, argument string) (kill func()) {
	t.Helper()
	out, kill := startSelf(t, applicationVariable+"="+strings.Join([]string{does, socket, name, argument}, " "))
	if line, err := out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the application %s said %q: %v", name, line, err)
	}
	return kill
}

// startSelf starts this program with a variable of the environment that says what it is.
func startSelf(t testing.TB, variable string) (out *bufio.Reader, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), variable)
	cmd.Stderr = logWriter{t, "application"}
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	return bufio.NewReader(pipe), kill
}
