package transport

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// internet is a small network of namespaces on this machine: two home networks behind routers with NAT, and between them a
// router that is also the STUN server. Nothing leaves the machine.
//
//	homeA 10.0.1.2 ─ natA 198.51.100.2 ─ 198.51.100.1 wan 203.0.113.1 ─ 203.0.113.2 natB ─ 10.0.2.2 homeB
type internet struct {
	t      *testing.T
	prefix string
}

const stunAt = "198.51.100.1:3478"

func (n internet) name(of string) string    { return n.prefix + of }
func (n internet) exec(in string) []string  { return []string{"ip", "netns", "exec", n.name(in)} }
func (n internet) run(command string) error { return n.runWith(command, "") }

func (n internet) runWith(command, stdin string) error {
	words := strings.Fields(command)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, out)
	}
	return nil
}

// in runs a command in a namespace, and fails the test if the command fails.
func (n internet) in(where, command, stdin string) {
	n.t.Helper()
	if err := n.runWith(strings.Join(n.exec(where), " ")+" "+command, stdin); err != nil {
		n.t.Fatal(err)
	}
}

// newInternet builds one; the test is skipped if this machine or user cannot.
func newInternet(t *testing.T) internet {
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	n := internet{t: t, prefix: fmt.Sprintf("pf%d", os.Getpid())}
	for i, where := range []string{"wan", "natA", "natB", "homeA", "homeB"} {
		if err := n.run("ip netns add " + n.name(where)); err != nil {
			if i == 0 {
				t.Skipf("this machine has no network namespaces: %v", err)
			}
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := n.run("ip netns del " + n.name(where)); err != nil {
				t.Error(err)
			}
		})
		n.in(where, "ip link set lo up", "")
		n.in(where, "sysctl -qw net.ipv4.ip_forward=1", "")
	}
	n.link("wan", "homeA", "198.51.100.1/24", "natA", "wan", "198.51.100.2/24")
	n.link("wan", "homeB", "203.0.113.1/24", "natB", "wan", "203.0.113.2/24")
	n.link("natA", "lan", "10.0.1.1/24", "homeA", "eth0", "10.0.1.2/24")
	n.link("natB", "lan", "10.0.2.1/24", "homeB", "eth0", "10.0.2.2/24")
	n.in("natA", "ip route add default via 198.51.100.1", "")
	n.in("natB", "ip route add default via 203.0.113.1", "")
	n.in("homeA", "ip route add default via 10.0.1.1", "")
	n.in("homeB", "ip route add default via 10.0.2.1", "")
	return n
}

// link joins two namespaces by a cable.
func (n internet) link(x, xName, xAddress, y, yName, yAddress string) {
	n.t.Helper()
	if err := n.run(fmt.Sprintf("ip link add name %s netns %s type veth peer name %s netns %s", xName, n.name(x), yName, n.name(y))); err != nil {
		n.t.Fatal(err)
	}
	for _, end := range [][3]string{{x, xName, xAddress}, {y, yName, yAddress}} {
		n.in(end[0], "ip addr add "+end[2]+" dev "+end[1], "")
		n.in(end[0], "ip link set "+end[1]+" up", "")
	}
}

// The kinds of NAT. Both let in only packets from an address and port to which something was sent.
const (
	cone      = "masquerade"              // one outer port for an inner one, whatever the destination
	symmetric = "masquerade fully-random" // another for each destination
)

func (n internet) nat(where, kind string) {
	n.t.Helper()
	n.in(where, "nft -f -", `
		flush ruleset
		table ip nat {
			chain out {
				type nat hook postrouting priority 100;
				oifname "wan" `+kind+`;
			}
		}
		table ip filter {
			chain in {
				type filter hook input priority 0;
				iifname "wan" ct state != { established, related } drop;
			}
			chain through {
				type filter hook forward priority 0;
				iifname "wan" ct state != { established, related } drop;
			}
		}
		`)
}

// setUpTime is how long a connection through NATs may take to be made.
const setUpTime = 1500 * time.Millisecond

func TestThroughNATs(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a dozen processes")
	}
	t.Parallel()
	n := newInternet(t)
	stun := startChild(t, n.exec("wan"), envRole+"=stun", envListen+"="+stunAt)
	if l := <-stun.lines; !l.Ready {
		t.Fatalf("the STUN server does not start: %s", l.Error)
	}
	asking, blind := `{"stun":["`+stunAt+`"]}`, `{}`
	for _, c := range []struct {
		name              string
		a, b              string // where the Requester and the Handler are
		natA, natB        string
		optionsA, options string
		connects          bool
	}{
		{"both behind cone NATs", "homeA", "homeB", cone, cone, asking, asking, true},
		{"Handler behind a symmetric NAT, Requester public, no STUN", "wan", "homeB", cone, symmetric, blind, blind, true},
		{"Handler behind a cone NAT, Requester public, no STUN", "wan", "homeB", cone, cone, blind, blind, true},
		{"Requester behind a symmetric NAT, Handler public, no STUN", "homeA", "wan", symmetric, cone, blind, blind, true},
		{"both behind symmetric NATs", "homeA", "homeB", symmetric, symmetric, asking, asking, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := internet{t: t, prefix: n.prefix}
			n.nat("natA", c.natA)
			n.nat("natB", c.natB)
			impatient := ""
			if !c.connects {
				impatient = "1"
			}
			var x, y line
			for range 4 { // the machine may do something else meanwhile
				a := startChild(t, n.exec(c.a), envRole+"=requester", envOptions+"="+c.optionsA, envImpatient+"="+impatient)
				b := startChild(t, n.exec(c.b), envRole+"=handler", envOptions+"="+c.options, envImpatient+"="+impatient)
				if x, y = relay(t, a, b); x.Error != "" || x.Took <= setUpTime {
					break
				}
			}
			if (x.Error == "") != c.connects || (y.Error == "") != c.connects {
				t.Fatalf("requester: %q; handler: %q; want connected: %v", x.Error, y.Error, c.connects)
			}
			if !c.connects {
				return
			}
			t.Logf("in %v; the Requester sees %s, the Handler sees %s", x.Took, x.Address, y.Address)
			for _, at := range []string{x.Address, y.Address} {
				if netip.MustParseAddrPort(at).Addr().Unmap().IsPrivate() {
					t.Errorf("%s is no outer address: the NAT was not crossed", at)
				}
			}
			if x.Took > setUpTime {
				t.Errorf("it took %v", x.Took)
			}
		})
	}
}
