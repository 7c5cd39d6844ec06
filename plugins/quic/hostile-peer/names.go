package main

import (
	"context"
	"encoding/json"

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

// Send puts the addresses into the description and into candidates after it, and leaves out this side's own addresses.
func (s signals) Send(ctx context.Context, one p2p.Signal) error {
	if one.Kind != p2p.Description {
		return nil
	}
	var d map[string]any
	if err := json.Unmarshal(one.Value, &d); err != nil {
		return err
	}
	var list []map[string]string
	for i := range inDescription {
		list = append(list, s.candidate(i))
	}
	d["candidates"] = list
	if err := s.Signals.Send(ctx, p2p.Signal{Kind: p2p.Description, Value: message.Encode(d)}); err != nil {
		return err
	}
	for i := range p2p.MaxCandidates {
		if err := s.Signals.Send(ctx, p2p.Signal{Kind: p2p.Candidate, Value: message.Encode(s.candidate(inDescription + i))}); err != nil {
			return err
		}
	}
	return s.o.Note("names", inDescription+p2p.MaxCandidates)
}

// candidate returns the candidate with a number.
func (s signals) candidate(i int) map[string]string {
	return map[string]string{"type": "host", "address": s.o.Names[i%len(s.o.Names)]}
}

// Recv leaves out the peer's addresses. So this side does not dial, and the peer goes on trying for as long as the set-up takes.
func (s signals) Recv(ctx context.Context) (p2p.Signal, error) {
	for {
		one, err := s.Signals.Recv(ctx)
		if err != nil || one.Kind != p2p.Description {
			if err != nil {
				return one, err
			}
			continue
		}
		var d map[string]any
		if err := json.Unmarshal(one.Value, &d); err != nil {
			return one, err
		}
		d["candidates"] = nil
		one.Value = message.Encode(d)
		return one, nil
	}
}
