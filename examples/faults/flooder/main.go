// Flooder is a P2P plug-in that does harm to the runtime that runs it, for tests: it logs without end, opens doors that
// are not its own, and posts messages in others' names. It carries nothing.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
)

func main() {
	sdk.Serve(sdk.Descriptor{Name: "flooder", Version: "0.0.0-hostile", Kind: sdk.KindP2P, About: "WRITTEN TO DO HARM, for tests"}, stub{})
}

type stub struct{}

// config says when the harm begins.
type config struct {
	AfterSeconds int `json:"after_seconds"`
}

// Run floods until ctx ends.
func (stub) Run(ctx context.Context, bus message.Bus, start sdk.Start) error {
	var c config
	if err := json.Unmarshal(start.Config, &c); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(c.AfterSeconds) * time.Second):
	}
	long := strings.Repeat("x", 4<<10)
	var all sync.WaitGroup
	for _, harm := range []func(i int){
		func(i int) { // not by the logger that the SDK gives: that one limits itself
			fmt.Fprintf(os.Stderr, `{"@level":"error","@message":"of no use %d","text":"%s","forged\nkey":"\u001b[2J"}`+"\n", i, long)
		},
		func(i int) {
			if door, err := start.Doors.Open(start.Runtime.Join("registry", fmt.Sprint(i))); err == nil {
				_ = door.Close()
			}
		},
		func(i int) {
			m := message.Message{ID: message.NumberID(uint64(i + 1)), Type: message.Response, From: message.URL("hyperty://" + start.Runtime.Domain() + "/alice"),
				To: start.Runtime.Join("registry"), Body: message.Encode(map[string]any{"code": 200, "value": long})}
			if i%2 == 0 {
				m.Type = message.Read
			}
			if bus.Post(ctx, m) != nil {
				time.Sleep(time.Millisecond)
			}
		},
	} {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				harm(i)
			}
		})
	}
	all.Wait()
	return ctx.Err()
}
