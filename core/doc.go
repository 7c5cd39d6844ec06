// Package core is the runtime, as a library: [Start] gives a running one. This page is the map of the house.
//
// # The rooms
//
//	core           wiring and lifecycle (runtime.go), where messages leave and come in (ways.go, stubs.go, plain.go),
//	               what becomes of them (watched.go, refusals.go)
//	core/bus       MessageBus: a local listener, or resolve and leave
//	core/registry  who runs what and where, Resolve, P2P connections, /registry/changes
//	core/session   one per remote runtime: order, exactly once, whatever path frames take
//	core/identity  the runtime's key and the URL derived from it
//	core/stubhost  plug-in processes: start, supervise, restart, reload, drain
//	core/catalogue which plug-ins are installed, where a domain's Message Node is
//	core/syncmanager  the sync manager of Reporter–Observer data objects
//	core/api       the local application API on a Unix socket
//	core/trace     what the core tells about what it does
//
//	sdk            what authors of plug-ins and applications import: message, minibus, link, syncher, p2p, hyperty, proof
//	internal       tools of the house, for all of the others: work queues by key, back-off, buffers, logs, printable, peercred
//	plugins        the transports and the Message Node's stub, each a process of its own
//
// sdk and internal import nobody above; core and plugins import only sdk and internal; only cmd and examples import core.
//
// # A message's walk
//
// An application posts to its bus; the message comes in through core/api and enters the MessageBus, which refuses a
// `from` that is not the application's. If somebody in this runtime listens to the address, it is delivered and the
// walk is over. Else the Registry resolves it: to a Message Node function (the message leaves through that node's stub
// as it is), or to a remote runtime and the best door to it. Then the session with that runtime numbers the message,
// keeps it until it is acknowledged, and hands frames to the door: a P2P stub's where a connection is live, else the
// Message Node stub's. stubhost writes frames on the plug-in's link; the plug-in puts them on the network.
//
// The same from one hyperty to one address, again and again, does not ask everybody each time: stream.go remembers what
// they said, as long as they would say it again, and has the message go from the hyperty's place into its session.
//
// On the other side: plug-in, link, stubhost, session (order, duplicates, acknowledgement), MessageBus (is `from`
// theirs?), the application's inbox.
//
// And back: with the message goes a receipt, which its receiver settles when it has taken the message. The session
// there tells the session here, which has kept a record until then: that is the destination's credit, and what is in
// doubt when the remote runtime restarts. Where an application has asked what becomes of a message it is told
// (watched.go); a message that nobody takes is answered (refusals.go).
//
// With runtimes that can have no session, the reference implementation's, messages go through the Message Node's stub
// as they are, where the configuration allows it: see plain.go.
//
// # Who owns what
//
// [Runtime] owns every component and ends them in the reverse order of their start. Each component owns its
// goroutines and waits for them in its Close.
package core
