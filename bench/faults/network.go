package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network is a small network of network namespaces on this machine: the node and both runtimes have an address each on
// one bridge. Packets are dropped where alice and bob receive (a sender would get an error), and nothing leaves the
// machine. The relay is TCP, so a rule on UDP affects direct paths alone.
//
// A nil network is the machine's own.
type network struct {
	prefix string
	made   []string // namespaces
}

const nodePlace = "node"

// addresses are the addresses of the places, each of which is a namespace. The bridge is in the node's.
var addresses = map[string]string{nodePlace: "10.77.0.1", "alice": "10.77.0.2", "bob": "10.77.0.3"}

// newNetwork builds a network. The error is a *cannotError if this machine or user cannot.
func newNetwork(ctx context.Context) (*network, error) {
	if os.Getuid() != 0 {
		return nil, &cannotError{"network namespaces need root"}
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, &cannotError{tool + " is not installed"}
		}
	}
	n := &network{prefix: "pff" + randomText()[:8] + "-"}
	for i, place := range []string{nodePlace, "alice", "bob"} {
		if err := n.run(ctx, "", "ip netns add "+n.prefix+place); err != nil {
			if i == 0 {
				return nil, &cannotError{"this machine has no network namespaces: " + err.Error()}
			}
			return n, err
		}
		n.made = append(n.made, n.prefix+place)
	}
	steps := []string{nodePlace + " ip link set lo up", nodePlace + " ip link add bridge type bridge", nodePlace + " ip addr add " + addresses[nodePlace] + "/24 dev bridge", nodePlace + " ip link set bridge up"}
	for _, place := range []string{"alice", "bob"} {
		steps = append(steps,
			nodePlace+" ip link add to-"+place+" type veth peer name eth0 netns "+n.prefix+place,
			nodePlace+" ip link set to-"+place+" master bridge up",
			place+" ip link set lo up", place+" ip addr add "+addresses[place]+"/24 dev eth0", place+" ip link set eth0 up",
			place+" ip route add default via "+addresses[nodePlace])
	}
	for _, step := range steps {
		place, command, _ := strings.Cut(step, " ")
		if err := n.inside(ctx, place, "", command); err != nil {
			return n, err
		}
	}
	return n, nil
}

// in is the command that runs a process in a place.
func (n *network) in(place string) []string {
	if n == nil {
		return nil
	}
	return []string{"ip", "netns", "exec", n.prefix + place}
}

// listen is where the node is to listen.
func (n *network) listen() string {
	if n == nil {
		return ""
	}
	return addresses[nodePlace] + ":0"
}

// drop makes the network drop a percentage of the UDP packets to alice and bob, chosen at random. 0 ends that.
func (n *network) drop(ctx context.Context, percent int) error {
	rule := "drop"
	if percent < 100 {
		rule = fmt.Sprintf("numgen random mod 100 < %d drop", percent)
	}
	rules := "flush ruleset\n"
	if percent > 0 {
		rules += "table inet faults { chain in { type filter hook input priority 0; iifname \"eth0\" meta l4proto udp " + rule + "; }; }\n"
	}
	for _, place := range []string{"alice", "bob"} {
		if err := n.inside(ctx, place, rules, "nft -f -"); err != nil {
			return err
		}
	}
	return nil
}

func (n *network) inside(ctx context.Context, place, stdin, command string) error {
	return n.run(ctx, stdin, strings.Join(n.in(place), " ")+" "+command)
}

func (n *network) run(ctx context.Context, stdin, command string) error {
	words := strings.Fields(command)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, out)
	}
	return nil
}

// close removes the network. The processes in it have ended.
func (n *network) close() error {
	if n == nil {
		return nil
	}
	var first error
	for _, name := range n.made {
		if err := n.run(context.Background(), "", "ip netns del "+name); err != nil && first == nil {
			first = err
		}
	}
	return first
}
