// Package hyperty is what an application uses of Protofly. A hyperty is an application, or a part of one, that has an address
// of its own. An application registers it, then sends and receives messages, asks others and answers them, and shares data
// objects in its name.
//
// A [Hyperty] is the same type in the runtime's own process and in another one; it is made of a [message.Bus] and an
// address. A [Runtime] makes them: the runtime itself where it is embedded, or a [Client], which reaches a running one
// over its Unix socket:
//
//	runtime, err := hyperty.Dial(ctx, hyperty.Options{})
//	bob, err := runtime.Register(ctx, hyperty.Registration{Name: "bob"})
//	bob.Handle(func(ctx context.Context, m hyperty.Received) { fmt.Println(m.From, m.Text()) })
//	err = bob.Send(ctx, "hyperty://example.com/alice", "hello")
//
// # Guarantees
//
// Messages of one hyperty to one receiver arrive in the order of posting. A handler is called for one message at a
// time; while it runs, messages wait, then their senders do. A response reaches the request that waits for it also
// while the handler is busy.
//
// # What becomes of a message
//
// A message is delivered when its receiver's handler has returned. A handler that needs it longer calls [Received.Defer] and, from any
// goroutine, [Received.Done]. Without a handler, [Hyperty.Receive] gives the messages one by one.
//
// [Hyperty.Post] and [Hyperty.Send] return when the runtime has the message. Where nobody takes it, or it is given up, a
// response says so (see [Hyperty.HandleResponses]). [Hyperty.Track] and [Hyperty.SendTracked] return a [Delivery], which
// also tells that the message was delivered, or why not. Both work alike in the runtime's process and in another one.
//
// [Hyperty.Broadcast] sends to a list of addresses, and says what became of each message. For a value that many follow use a data object
// ([Hyperty.Objects]): its runtime sends each change once to every other runtime.
//
// A sender to a receiver that is behind has to wait: Post blocks, and when its ctx ends returns an error that is
// [message.ErrBackpressure] and names the receiver. Posts to others go on.
//
// # Addresses below its own
//
// A hyperty may post from addresses below its own (hyperty://example.com/alice/desk), and listen there by its bus:
//
//	stop := alice.Bus().Listen(alice.URL().Join("desk"), func(ctx context.Context, m message.Message) { … })
//
// Answers to a request come to it, wherever it was posted from ([message.Bus].Request). Other responses to an address below its own come
// to a listener there, else to [Hyperty.HandleResponses]. A message to which nobody listens is refused with 404; a handler of the hyperty
// does not get it. Such addresses are found by the hyperty's own, and are not registered. Those that end in /changes, /status or
// /registration are for subscribers.
//
// # When the runtime restarts
//
// A [Client] connects again by itself and registers its hyperties again at the addresses that they had. Meanwhile
// [Hyperty.Post] waits, at most [Options.Wait]. A request whose answer was lost in the restart gets a response with
// code 504. So does every message that the runtime had been given and had not confirmed (see [Hyperty.HandleResponses]): it
// may have been sent on or not, and is not sent twice. [Options.OnState] tells when the connection breaks and when there is
// a new one. Data objects live in the runtime: the client restores there the objects that its hyperties report and observe
// ([syncher.Syncher.Resume]).
//
// # Limits
//
// A hyperty in another process than the runtime's may have posted at most 1024 small messages or 4 MiB that the runtime has not
// passed on yet, a third of that to one receiver; then Post waits. As much may be on the way to the application. A hyperty
// tracks at most [MaxTracked] messages at a time. A message's body is at most 1 MiB ([message.MaxBody]). One client has at most
// 256 hyperties.
package hyperty
