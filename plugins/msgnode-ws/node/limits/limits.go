// Package limits has the numbers that an operator can set: how many connections, how much of everything, and how long. What
// exceeds a limit is answered with a text that names it.
package limits

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/protofly/protofly/plugins/msgnode-ws/node/table"
)

// Limits bound what the node spends. Zero means the default; [Defaults] has them all.
type Limits struct {
	Connections int   // of runtimes, at once; a further one gets HTTP 503
	Unproven    int   // at once that have not proved a runtime's key yet; then the oldest are closed, or a new one gets HTTP 503
	Legacy      int   // of Connections in the reference's dialects; then HTTP 503
	PerAddress  int   // of one IPv4 address or IPv6 /64 network, at once; then HTTP 429
	Queue       int64 // bytes that wait for one connection; then Data is dropped, or it is closed with code 1013
	Memory      int64 // bytes that are kept for all of them; then one of the address with the most is closed with code 1013
	Handshakes  int   // WebSockets from one address in a second; then HTTP 429. Here and below: 10 times that at once
	Newcomers   int   // runtimes that the node does not know, from one address in an hour, a fifth of them at once; then 429
	Requests    int   // what requests to the node's functions on one connection may cost in a second, in units of 20 µs; then 429
	// AddressRequests is the same for all connections and requests of one address.
	AddressRequests int
	Addresses       int   // allocated addresses of one runtime; then 429
	Block           int   // addresses in one allocation; then 413
	Subscriptions   int   // addresses that one runtime subscribes; then 429
	Registrations   int   // live Domain Registry entries of one runtime; then 429. As many of its disconnected ones are kept
	Entry           int   // bytes of a Domain Registry entry; then 413
	Writes          int   // writes to the state by one runtime in a second, and 10 times that at once; then 429
	Results         int   // entries in an answer of the Domain Registry; then it chooses fairly among them
	RuntimeState    int64 // bytes of all that the state has of one runtime; then 429
	AddressState    int64 // bytes of all that came from one address; then 429
	State           int64 // bytes of the whole state; then what makes it larger is answered 500
	Rows            int   // entries of the whole state; the same
	MinFree         int64 // bytes that stay free on the disk under Data; then writes are answered 500
}

// Defaults are the limits that zero values mean.
func Defaults() Limits {
	return Limits{Connections: 10_000, Unproven: 1024, Legacy: 1000, PerAddress: 512, Queue: 16 << 20, Memory: 512 << 20,
		Handshakes: 50, Newcomers: 1000, Requests: 1000, AddressRequests: 4000, Addresses: 4096, Block: 256, Subscriptions: 4096,
		Registrations: 1024, Entry: 64 << 10, Writes: 200, Results: 1000, RuntimeState: 8 << 20, AddressState: 64 << 20,
		State: 1 << 30, Rows: 1_000_000, MinFree: 16 << 20}
}

// WithDefaults returns l with the default in place of each zero.
func (l Limits) WithDefaults() Limits {
	d := Defaults()
	for _, p := range []struct {
		v *int
		d int
	}{
		{&l.Connections, d.Connections}, {&l.Unproven, d.Unproven}, {&l.Legacy, d.Legacy}, {&l.PerAddress, d.PerAddress},
		{&l.Handshakes, d.Handshakes}, {&l.Newcomers, d.Newcomers}, {&l.Requests, d.Requests}, {&l.AddressRequests, d.AddressRequests},
		{&l.Addresses, d.Addresses}, {&l.Block, d.Block}, {&l.Subscriptions, d.Subscriptions}, {&l.Registrations, d.Registrations},
		{&l.Entry, d.Entry}, {&l.Writes, d.Writes}, {&l.Results, d.Results}, {&l.Rows, d.Rows},
	} {
		*p.v = cmp.Or(*p.v, p.d)
	}
	for _, p := range []struct {
		v *int64
		d int64
	}{
		{&l.Queue, d.Queue}, {&l.Memory, d.Memory}, {&l.MinFree, d.MinFree},
		{&l.RuntimeState, d.RuntimeState}, {&l.AddressState, d.AddressState}, {&l.State, d.State},
	} {
		*p.v = cmp.Or(*p.v, p.d)
	}
	return l
}

// Check tells whether a node can keep to the limits, in which WithDefaults has replaced the zeros. The error names everything
// that is wrong.
func (l Limits) Check() error {
	var errs []error
	if min(l.Connections, l.Unproven, l.Legacy, l.PerAddress, l.Handshakes, l.Newcomers, l.Requests, l.AddressRequests, l.Addresses, l.Block,
		l.Subscriptions, l.Registrations, l.Entry, l.Writes, l.Results, l.Rows) < 0 || min(l.MinFree, l.RuntimeState, l.AddressState, l.State) < 0 {
		errs = append(errs, errors.New("limits: a negative number is no limit"))
	}
	if l.Memory < l.Queue {
		errs = append(errs, fmt.Errorf("limits: memory: at least as much as queue, %d", l.Queue))
	}
	if l.Entry > table.MaxRow {
		errs = append(errs, fmt.Errorf("limits: entry: at most %d", table.MaxRow))
	}
	if l.Queue < 2<<20 {
		errs = append(errs, fmt.Errorf("limits: queue: at least %d, room for one large packet", 2<<20))
	}
	return errors.Join(errs...)
}
