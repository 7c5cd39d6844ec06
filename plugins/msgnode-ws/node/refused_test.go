package node

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/refusal"
	"github.com/protofly/protofly/sdk/message"
)

func sourceAt(address string) quota.Source {
	return quota.Source{Prefix: netip.MustParsePrefix(address + "/32")}
}

// Who is refused, and read slowly for it, does not keep the turn meanwhile.
func TestRefusedHaveNoTurn(t *testing.T) {
	n, mallory := still(binary)
	ctx, cancel := context.WithCancel(t.Context())
	mallory.ctx = ctx
	if err := mallory.begin(); err != nil {
		t.Fatal(err)
	}
	r := refusal.TryAgain(time.Second, "too many")
	r.Pause = time.Hour
	read := make(chan struct{})
	go func() {
		defer close(read)
		n.refuse(mallory, message.Message{Type: message.Response}, r)
	}()
	waiting, late := context.WithTimeout(t.Context(), time.Minute)
	defer late()
	if err := n.turns.Take(waiting, quota.Asker{From: sourceAt("192.0.2.2")}); err != nil {
		t.Errorf("another one's turn: %v", err)
	}
	cancel()
	<-read
}
