package sdk_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"testing"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/sdktest/stubtest"
)

// mirror is a stub that answers questions, and sends back the frames that come by its door.
type mirror struct{}

func (mirror) Run(ctx context.Context, bus message.Bus, start sdk.Start) error {
	stop := bus.Listen(start.URL, func(ctx context.Context, m message.Message) {
		_ = bus.Post(ctx, m.Respond(message.CodeOK, "the stub for "+start.Domain))
	})
	defer stop()
	door, err := start.Doors.Open(start.URL)
	if err != nil {
		return err
	}
	for {
		frames, err := door.Recv(ctx)
		if ctx.Err() != nil {
			return nil // the host has ended the instance
		}
		if err != nil {
			return err
		}
		if err := door.Send(ctx, frames...); err != nil {
			return err
		}
	}
}

// A stub, run over the real link. In a test of your own, t is the *testing.T.
func ExampleStub() {
	t := new(outsideTest)
	defer t.end()
	link := stubtest.Run(t, mirror{}, stubtest.Options{Start: sdk.Start{Role: sdk.RoleNode, Domain: "example.com"}})

	answer := link.Request(message.Message{Type: message.Read, From: "hyperty-runtime://example.com/under-test/registry", To: link.URL})
	value, err := answer.OK()
	fmt.Println(string(value), err)
	link.Send(link.URL, sdk.Frame{Peer: "hyperty-runtime://example.com/peer", Payload: []byte("sealed")})
	fmt.Println(string(link.Recv(link.URL).Payload))
	// Output:
	// "the stub for example.com" <nil>
	// sealed
}

// The main of a plug-in is one call of Serve. This runs such a program, which is this test's own, and asks it what it is:
// so does "protofly plugins install".
func ExampleServe() {
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	said, err := exec.Command(self, "--describe").Output()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", said)
	// Output: {"name":"idler","version":"1.0","kind":"p2p","about":"does nothing"}
}

// outsideTest is the testing.TB that package stubtest needs: an example has none.
type outsideTest struct {
	testing.TB
	cleanups []func()
}

func (*outsideTest) Helper()                   {}
func (*outsideTest) Errorf(f string, a ...any) { log.Panicf(f, a...) }
func (*outsideTest) Error(a ...any)            { log.Panic(a...) }
func (*outsideTest) Fatal(a ...any)            { log.Panic(a...) }
func (*outsideTest) Fatalf(f string, a ...any) { log.Panicf(f, a...) }
func (t *outsideTest) Cleanup(f func())        { t.cleanups = append(t.cleanups, f) }
func (t *outsideTest) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
}
