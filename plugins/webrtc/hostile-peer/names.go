package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/protofly/protofly/plugins/internal/hostilepeer"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

// namer is a transport whose set-ups name addresses of others.
type namer struct {
	p2p.Transport
	o hostilepeer.Options
}

func (n namer) Connect(ctx context.Context, peer p2p.Peer, s p2p.Signals) (p2p.Channel, error) {
	return n.Transport.Connect(ctx, peer, signals{s, &n.o})
}

// signals alters the signals of a set-up.
type signals struct {
	p2p.Signals
	o *hostilepeer.Options
}

// inDescription is how many candidates are in the description.
const inDescription = 100

// Send puts the addresses into the description and into candidates after it, and leaves out the library's own candidates.
func (s signals) Send(ctx context.Context, one p2p.Signal) error {
	if one.Kind != p2p.Description {
		return nil
	}
	var d map[string]any
	if err := json.Unmarshal(one.Value, &d); err != nil {
		return err
	}
	sdp, _ := d["sdp"].(string)
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(sdp), "\r\n") {
		if !strings.HasPrefix(line, "a=candidate:") {
			lines = append(lines, line)
		}
	}
	for i := range inDescription {
		lines = append(lines, "a="+s.candidate(i))
	}
	d["sdp"] = strings.Join(lines, "\r\n") + "\r\n"
	if err := s.Signals.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: message.Encode(d)}); err != nil {
		return err
	}
	for i := range p2p.MaxCandidates {
		value := message.Encode(map[string]any{"candidate": s.candidate(inDescription + i), "sdpMid": "0", "sdpMLineIndex": 0})
		if err := s.Signals.Send(ctx, p2p.Signal{Kind: p2p.Candidate, Value: value}); err != nil {
			return err
		}
	}
	return s.o.Note("names", inDescription+p2p.MaxCandidates)
}

// candidate returns the candidate with a number.
func (s signals) candidate(i int) string {
	name := s.o.Names[i%len(s.o.Names)]
	at := strings.LastIndex(name, ":")
	ip := strings.Trim(name[:at], "[]")
	return fmt.Sprintf("candidate:%d 1 udp %d %s %s typ host", i, 2130706431-i, ip, name[at+1:])
}

// Recv leaves out the peer's addresses. So this side sends no checks, and the peer goes on trying for as long as the set-up takes.
func (s signals) Recv(ctx context.Context) (p2p.Signal, error) {
	for {
		one, err := s.Signals.Recv(ctx)
		if err != nil || one.Kind == p2p.Description {
			return one, err
		}
	}
}
