// Package core is the runtime, as a library: [Start] gives a running one. This page has the packages and the words of the code,
// and follows a message through the code. docs/map.md answers questions such as "where is a duplicate dropped?" with a function.
//
// # The packages
//
//	core             makes, connects and ends the components (start.go, wiring.go); what embedders use (config.go, runtime.go)
//	core/apps        the hyperties of this runtime, and what each is attached by
//	core/bus         MessageBus: gives a message to a listener here, or asks the Registry for the way and sends it there
//	core/registry    the specification's runtime Registry: which address is at which runtime, Resolve, P2P connections, /registry/changes
//	core/doors       where messages and frames leave and come in, and which runtime is behind a door
//	core/session     one for each remote runtime: order, exactly once, whatever path frames take
//	core/plainpeers  messages with runtimes without sessions, such as the specification's reference implementation
//	core/delivery    tells the sender of a tracked message its outcome, and answers a message that is refused
//	core/events      passes the events of sessions on to the other components, the log and the trace
//	core/deployer    deploys stubs for the Registry: their configuration, their table, and the messages to and from them
//	core/stubhost    runs plug-ins as processes, and stubs in them: start, supervise, restart, reload, drain
//	core/catalogue   which plug-ins are installed, where a domain's Message Node is
//	core/identity    the runtime's key, the URL derived from it, the trust policy
//	core/safefile    the data folder: files that are whole or not there, and that nobody else can change
//	core/syncmanager the sync manager of Reporter–Observer data objects
//	core/discovery   finds hyperties for applications, tells them who is there and how others are reached
//	core/admission   limits for the work and memory that others cause: how much at once, and how fast
//	core/api         the local application API on a Unix socket
//	core/admin       what the operator asks: status, path, reload, profile
//	core/trace       what the core tells about what it does
//
//	sdk              what authors of plug-ins and applications import: message, p2p, hyperty, syncher, proof, udp, test suites
//	internal         what the others share and nobody outside imports: the link to plug-ins, the MiniBus, the wire of the local
//	                 API, work queues by key, back-off, buffers, logs and more
//	plugins          the transports and the Message Node's stub, each a process of its own
//
// sdk and internal import nobody above; core and plugins import only sdk and internal; only cmd, bench and examples import core.
//
// # The words
//
// In the order in which a message meets them.
//
//	runtime      a process of this program; it has an address and a key, and connects its hyperties with those of other runtimes
//	hyperty      an application, or a part of one, with an address of its own; it posts messages and is given those for it
//	message      a type, a `from`, a `to`, an ID and a JSON object; a response has the ID of what it answers
//	attachment   a hyperty's connection to its runtime, whether its application is in this process or in another one
//	component    what posts and listens in a runtime: a hyperty, a stub, the Registry, the sync manager
//	MessageBus   takes every message of the runtime to its listener, or to the way out; a component listens on it to an address
//	handle       what an attachment posts with; it remembers the routes of the last addresses
//	publication  a message to subscribers (…/changes, …/status, …/registration); it is no error when nobody listens to it
//	tracked      of a message: its sender learns its outcome (sdk/hyperty.Outcome). Functions that post such a message end in PostTracked.
//	traced       of a message: each step is an event of the trace (package trace). A traced message need not be tracked, nor the reverse.
//	route        the Registry's answer to "which way does this message go?": a runtime, a door, a stub
//	Registry     knows the hyperties of this runtime, the remote runtimes, and which addresses are at which
//	Domain Registry  a function of a Message Node: it knows at which runtime an address of its domain is
//	runtime URL  hyperty-runtime://<domain>/<id>; the id is derived from the runtime's key, so that it can be proven
//	session      what two runtimes keep about the messages between them; it numbers them, keeps them until they are acknowledged,
//	             and seals them: encrypts them, so that nobody on the way can read or change them
//	incarnation  one life of a runtime's process; a session is between two of them
//	frame        what a session sends at once: one message or several, sealed
//	door         the URL at which a frame leaves: a Message Node's stub, a Requester, or a Handler's p2p-connectionUrl
//	path         a door, as one of the ways of a session to its remote runtime; a session uses one at a time, and may change it
//	stub         an instance of a protostub in a plug-in's process: a Message Node's, a P2P Requester or a P2P Handler
//	plug-in      the program, and the process, of all stubs of one kind
//	host         starts the processes of plug-ins, supervises them and starts them again
//	link         between the host and one plug-in's process: control frames and data frames, on two pipes or a gRPC stream
//	window       how many bytes may be sent before the receiver has taken some
//	lane         a door's part of the link, with a window of its own
//	Message Node the server of a domain; it relays frames that it cannot read, and has the domain's functions
//	inbox        the bounded queue of a listener; a goroutine takes the messages out of it
//	receipt      goes with a message to its listener, which settles it when it has taken the message: so the sender's side learns it
//	delivery     a message that came out of a session, with its receipt, on its way through the MessageBus to an inbox
//	Try          begins the names of calls that never wait: a call that would have to wait does nothing and returns ErrWouldBlock
//	credit       how much may be sent to a destination at the remote runtime before it has taken some
//	refused      of a message: it is not delivered, and its sender is answered with a code
//	in doubt     of a message: it left, and no report will ever come whether it arrived
//	backpressure the receiver, or the way to it, is behind: a call that posts waits, or returns message.ErrBackpressure
//
// # A message's walk
//
// Tests compare these lists with the stacks of a running message. Between two functions of a list there may be others of the same
// two packages, which the list leaves out.
//
// Out, from a hyperty in this process to a live P2P connection, to an address whose way Handle.Post remembers: the last two
// messages went there as well. All of it runs in one goroutine, the application's:
//
//	sdk/hyperty         Hyperty.Send       encodes the body
//	sdk/hyperty         Hyperty.Post       names the sender
//	core/apps/inprocess localBus.Post      numbers the message
//	core/apps           Attachment.Post    notes subscriptions to …/registration, to make them again when a Message Node is back
//	core/bus            Handle.Post        validates the message, compares its `from`, and finds the way that it remembers
//	core/doors          way.Post           goes on into the session
//	core/session        Line.Post          numbers and keeps the message; seals it into a frame
//	core/doors          FramesOut.TrySend  addresses the frame
//	core/stubhost       Host.TrySend       finds the stub's process and the door's lane
//	internal/link       Lane.TrySend       takes from the door's window
//	internal/link       lockedConn.depart  writes, since nothing is queued before
//	internal/link       writeNow           into the pipe to the plug-in
//
// Handle.Post uses a way only while nobody in this runtime listens to the address and the connection is the same one. For other
// messages to an address, the first two among them, it has no way. They take more steps: MessageBus.verifyLocal refuses a `from`
// that is not the application's. MessageBus.post delivers to a listener of this runtime; then the walk is over. Else
// Registry.Resolve chooses the way, and doors.Exit.Forward takes the message to a function of a Message Node, to a runtime
// without a session, or to Sessions.Post. A response, a subscription, a message from a data object's address, and one that is
// traced or tracked take these steps each time.
//
// Where messages come quickly, or the path is full, the session does not send in the application's goroutine: the session's
// own goroutine packs the messages that wait, and calls FramesOut.Send. Where the pipe is full, the link's own goroutine writes.
//
// In, to a hyperty in this process. The link's goroutine brings a message as far as the hyperty's inbox:
//
//	internal/link       Conn.read             reads the pipe from the plug-in
//	internal/link       Lane.push             gives a door's frames to its stub
//	core/stubhost/stub  intake.prompt         passes a door's frames on; slows down a stub whose frames are for nobody
//	core/doors          FramesIn.Take         knows which runtime is behind the door
//	core/session        Sessions.Receive      opens the frame, drops what has come before, puts in order
//	core/doors          Entrance.TryAccept    refuses an invitation to a P2P connection in another runtime's name
//	core/bus            MessageBus.TryAccept  validates the message, refuses a `from` that is not the remote runtime's
//	internal/minibus    Listeners.TryHandRun  finds who listens to the address
//	core/apps/inprocess localBus.TryHandRun   takes nothing before the hyperty is registered
//	internal/minibus    lockedInbox.add       queues the message for another goroutine
//
// The inbox's goroutine, which runs while there are messages, goes on:
//
//	internal/minibus  inbox.run            takes the next message
//	sdk/hyperty       Hyperty.take         calls the application's handler, then settles the receipt
//
// Where the listener is behind, the message waits in the session, and a goroutine for its destination delivers it later. So
// messages to other destinations wait for it neither here nor in the plug-in. Where nobody listens to the address,
// MessageBus.TryAccept refuses the message with 404.
//
// The outcome comes back. The listener settles the message's receipt when it has taken the message. Then the remote session
// tells the session here, which has kept a record of the message until then. The records count against the
// destination's credit; where the remote runtime restarts, the messages that still have a record are in doubt. An application
// that tracks the message is told the outcome. Of a message that nobody takes the remote session says why, and the runtime here
// answers its sender. See core/delivery.
//
// An application in another process has the same API, and two goroutines and a socket more. The application's goroutine
// queues a message:
//
//	sdk/hyperty   Hyperty.Send          encodes the body
//	sdk/hyperty   Hyperty.Post          names the sender
//	sdk/hyperty   attached.Post         numbers the message and checks it
//	sdk/hyperty   attached.enqueue      waits for room in the window
//
// The goroutine of the application's connection writes what is queued to the socket:
//
//	sdk/hyperty     connection.write    takes the records of all hyperties of the application
//	internal/apiwire Queue.Write        into the socket
//
// The runtime's goroutine of that connection reads it, and goes on as above:
//
//	core/api      application.read      reads the socket
//	core/api      application.post      holds the application to its window
//	core/api      attachment.tryPut     posts where nothing waits before it; else its goroutine does
//	core/apps     Attachment.TryPost    as above, but leaves to Post what would have to wait
//
// A message for such an application is not put into an inbox of the runtime. core/api queues it for the application's connection,
// one goroutine writes it to the socket, and in the application's process a goroutine of sdk/hyperty gives it to the handler.
//
// # Who owns what
//
// [Runtime] owns every component and ends them in the reverse order of their start. Each component owns its goroutines and
// waits for them in its Close. Goroutines that belong to no component are in a [work.Group] of the runtime.
package core
