// Hostile-peer is a P2P plug-in that was written to do harm to the runtimes at the other end, for tests: the QUIC plug-in,
// under its name, whose member "hostile" of the configuration says what it does.
//
//   - With "names" its set-ups name these addresses as its own, as often as there is room, and none of its own
//     (names.go).
//   - With "flood" its connections go live as honest ones do (connect.go). Each then plays the next of the attacks in
//     flood.go: it opens streams that it may not, sends one byte at a time or frames of nothing, or does not read.
//
// It writes what it did to the file "report", a line of JSON each. It goes to loopback addresses alone. Nobody should run
// it for anything else.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/protofly/protofly/plugins/quic/transport"
	"github.com/protofly/protofly/sdk"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/p2p"
)

func main() {
	sdk.Serve(sdk.Descriptor{
		Name: "quic", Version: "0.0.0-hostile", Kind: sdk.KindP2P, About: "WRITTEN TO DO HARM, for tests: attacks its peers",
	}, p2p.Stub(open))
}

// options is the member "hostile".
type options struct {
	Names  []string `json:"names"`
	Flood  bool     `json:"flood"`
	Report string   `json:"report"`
}

// report is one line of the report.
type report struct {
	Attack string `json:"attack"`
	Count  uint64 `json:"count"`
}

func open(c p2p.Config) (p2p.Transport, error) {
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(c.Options, &members); err != nil {
		return nil, fmt.Errorf("hostile-peer: configuration: %w", err)
	}
	var o options
	if err := json.Unmarshal(members["hostile"], &o); err != nil {
		return nil, fmt.Errorf("hostile-peer: the configuration wants a member hostile: %w", err)
	}
	delete(members, "hostile")
	c.Options = message.Encode(members)
	honest, err := transport.New(c)
	if err != nil {
		return nil, err
	}
	if o.Flood {
		return &flooder{Transport: honest, options: o}, nil
	}
	return namer{honest, o}, nil
}

// note writes a line of the report.
func (o *options) note(r report) error {
	f, err := os.OpenFile(o.Report, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(message.Encode(r), '\n'))
	return errors.Join(err, f.Close())
}
