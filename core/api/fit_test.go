package api

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

// crowded is a house with many sessions.
type crowded struct {
	*house
	sessions []Session
}

func (c *crowded) Status(context.Context) (Status, error) {
	return Status{Runtime: houseURL, Sessions: c.sessions}, nil
}

// Others can neither make so many sessions nor choose addresses so long that nobody is told any more what runs.
func TestStatusOfACrowd(t *testing.T) {
	c := &crowded{house: newHouse(t)}
	path := socketPath(t)
	serve(t, c, path)
	client, err := Dial(limit(t), path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	long := message.URL("hyperty://example.com/" + strings.Repeat("x", 1000))
	for _, world := range []struct{ sessions, behind, want int }{{1000, 0, 1000}, {65536, 0, 2048}, {1000, 16, 200}} {
		c.sessions = nil
		for n := range world.sessions {
			one := Session{Remote: message.URL(fmt.Sprint("hyperty-runtime://example.com/", n))}
			for range world.behind {
				one.HeldUp = append(one.HeldUp, HeldUp{Address: long})
				one.Waiting = append(one.Waiting, HeldUp{Address: long})
			}
			c.sessions = append(c.sessions, one)
		}
		st, err := client.Status(limit(t))
		if err != nil {
			t.Errorf("%d sessions: %v", world.sessions, err)
			continue
		}
		if got := len(st.Sessions); got < world.want || got+st.LeftOut < world.sessions {
			t.Errorf("%d of %d sessions, %d left out", got, world.sessions, st.LeftOut)
		}
	}
}
