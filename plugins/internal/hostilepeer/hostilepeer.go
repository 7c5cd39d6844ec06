// Package hostilepeer is what the P2P plug-ins that do harm to their peers have in common, for tests: the plug-ins
// plugins/webrtc/hostile-peer and plugins/quic/hostile-peer. Each runs under the name of the honest one; the member
// "hostile" of its configuration says what it does.
package hostilepeer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

// Options is the member "hostile".
type Options struct {
	Names  []string `json:"names"`  // addresses of others, which its set-ups name as its own
	Flood  bool     `json:"flood"`  // its connections go live, and attack
	Report string   `json:"report"` // the file that says what it did, a line of JSON each
}

// Makers make the transport of a plug-in: the honest one, and from it those that do harm.
type Makers struct {
	Honest p2p.New
	Namer  func(honest p2p.Transport, o Options) p2p.Transport
	Flood  func(honest p2p.Transport, o Options) p2p.Transport
}

// Serve runs the plug-in under the name of the honest one.
func Serve(name string, m Makers) {
	sdk.Serve(sdk.Descriptor{
		Name: name, Version: "0.0.0-hostile", Kind: sdk.KindP2P, About: "WRITTEN TO DO HARM, for tests: attacks its peers",
	}, p2p.Stub(m.open))
}

func (m Makers) open(c p2p.Config) (p2p.Transport, error) {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(c.Options, &members); err != nil {
		return nil, fmt.Errorf("hostile-peer: configuration: %w", err)
	}
	var o Options
	if err := json.Unmarshal(members["hostile"], &o); err != nil {
		return nil, fmt.Errorf("hostile-peer: the configuration wants a member hostile: %w", err)
	}
	delete(members, "hostile")
	c.Options = message.Encode(members)
	honest, err := m.Honest(c)
	if err != nil {
		return nil, err
	}
	if o.Flood {
		return m.Flood(honest, o), nil
	}
	return m.Namer(honest, o), nil
}

// Note writes a line of the report: an attack, and how often it was tried.
func (o *Options) Note(attack string, count uint64) error {
	line := message.Encode(struct {
		Attack string `json:"attack"`
		Count  uint64 `json:"count"`
	}{attack, count})
	f, err := os.OpenFile(o.Report, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}
