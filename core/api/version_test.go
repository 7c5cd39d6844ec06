package api

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/protofly/protofly/sdk/hyperty"
)

// An application of this version tells of a runtime of an earlier one, whose whole socket is gRPC's, and of what is no
// runtime at all.
func TestOlderRuntime(t *testing.T) {
	socket := socketPath(t)
	if err := os.Mkdir(filepath.Dir(socket), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	_, err = hyperty.Dial(limit(t), hyperty.Options{Socket: socket})
	if err == nil || !strings.Contains(err.Error(), "it is older than this library, which speaks version 3 of the application API") {
		t.Error(err)
	}
	s.Stop()
	<-ended
}

// A connection that says nothing, or too little, holds nobody up, also not the end.
func TestConnectionThatSaysNothing(t *testing.T) {
	h, socket := newHouse(t), socketPath(t)
	s := serve(t, h, socket)
	for _, words := range []string{"", "proto"} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(words)); err != nil {
			t.Fatal(err)
		}
	}
	good := register(t, dial(t, hyperty.Options{Socket: socket}), "good")
	if err := good.Send(limit(t), good.URL(), "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := good.Receive(limit(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(limit(t)); err != nil {
		t.Error(err)
	}
}
