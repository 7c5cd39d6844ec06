package rates

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/limits"
	"github.com/protofly/protofly/plugins/msgnode-ws/node/quota"
)

func sourceAt(address string) quota.Source {
	return quota.Source{Prefix: netip.MustParsePrefix(address + "/32")}
}

// An address gets what it may ask for, but not all at once: others' messages come between.
func TestBurstsArePaced(t *testing.T) {
	for name, cost := range map[string]int{"look-ups": 1, "changes": RowPrice, "large ones": 700} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := limits.Defaults()
				r, from, began := New(l), sourceAt("192.0.2.1"), time.Now()
				spent := make(chan int)
				const conns = 3 // together they may ask for less than the address may
				for range conns {
					c := NewSpending(t.Context(), r, from, 1)
					go func() {
						sum := 0
						for c.Charge(cost) == nil {
							sum += cost
							spent <- cost
							c.KeepPace()
						}
						if sum < 9*l.Requests {
							t.Errorf("a connection was refused after %d units", sum)
						}
						spent <- 0
					}()
				}
				sum, slack := 0, l.AddressRequests/paceBurst+conns*(cost+int(leastWait.Seconds()*float64(paceRate*l.AddressRequests)))
				for left := conns; left > 0; {
					one := <-spent
					if one == 0 {
						left--
					}
					sum += one
					if most := slack + int(time.Since(began).Seconds()*float64(paceRate*l.AddressRequests)); sum > most && !t.Failed() {
						t.Errorf("%d units after %v, at most %d", sum, time.Since(began), most)
					}
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("all took %v", took)
				}
			})
		})
	}
}

// A connection that is not counted by address does not wait, nor does one that asks for little.
func TestFewRequestsAreNotPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, began := New(limits.Defaults()), time.Now()
		many := NewSpending(t.Context(), r, quota.Source{}, 1)
		for range 5000 {
			if no := many.Charge(1); no != nil {
				t.Fatal(no.Text)
			}
			many.KeepPace()
		}
		from := quota.Source{Prefix: netip.MustParsePrefix("192.0.2.1/32")}
		r.PaceHandshake(t.Context(), from)
		few := NewSpending(t.Context(), r, from, 2)
		for range 40 {
			if no := few.Charge(RowPrice); no != nil {
				t.Fatal(no.Text)
			}
			few.KeepPace()
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("they took %v", took)
		}
		for range 100 {
			r.PaceHandshake(t.Context(), from)
		}
		if took, least := time.Since(began), 100*handshakePrice*time.Second/time.Duration(paceRate*limits.Defaults().AddressRequests); took < least/2 {
			t.Errorf("100 handshakes more took %v", took)
		}
	})
}

// A request that is refused because of its address costs the connection nothing: once the other connections of the address
// are quiet, it may ask for as much as before.
func TestRefusedRequestsCostNothing(t *testing.T) {
	c := NewSpending(t.Context(), New(limits.Limits{Requests: 100, AddressRequests: 10, Newcomers: 1, Handshakes: 1, Writes: 1}), sourceAt("192.0.2.1"), 1)
	for refused := 0; refused < 1000; {
		if c.Charge(10) != nil {
			refused++
		}
	}
	if left := c.budget.Tokens(); left < 800 {
		t.Errorf("%.0f of 1000 units are left of what the connection may ask for", left)
	}
}
