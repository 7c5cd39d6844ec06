package sdk

// Every map in the packages below sdk, and in internal/link, internal/minibus and internal/object, whose keys a peer, a node, a
// plug-in or an application chooses, with its bound, and what happens there. What the program itself chooses (the instances and
// listeners of a stub, a client's hyperties) needs no bound here. What only lives while one text is read (the members of a JSON
// object) is bounded by the text's length.
//
//	minibus    Requests.waiting       the requester's     65,536 requests; a further one fails. Each until its answer, 15 s at most
//	minibus    Listeners.at           who listens         the caller's: core takes 256 hyperties of an application, and listens
//	                                                      otherwise at its own addresses and at those of its data objects
//	link       Conn.lanes             the plug-in's       16,384 doors an instance; a further one is refused. Until they are closed
//	sdk        doors.byURL            the host's          the same
//	p2p        handler.peers          peers'              4,096 connections, 256 of them in set-up; a further invitation is answered 429
//	p2p        handler.consents       peers'              one for each set-up; until the registry has answered
//	p2p        handler.refused        peers'              1,024 runtimes; the one that is free first makes room
//	syncher    Syncher.observers      reporters'          16,384 objects; Observe is refused with 429. Until they end or are closed
//	syncher    Syncher.reporters      the application's   what the runtime allows, 16,384; until they are deleted
//	syncher    Reporter.invited       observers'          4,096 of an object; Invite fails. As long as the object
//	syncher    Reporter.observers     observers'          what the runtime allows: 1,024 of a runtime, 4,096 runtimes. Until they leave
//	object     Document               reporters'          512 KiB of text, 64 levels; the change is refused
//	hyperty    attached.usedBy        receivers'          what is on the way, a window of 1,024 units, and 64 more; the rest is forgotten
//	hyperty    attached.waiting       the application's   as minibus' Requests
//	hyperty    attached.tracked       the application's   1,024 messages of a hyperty; a further one is refused. Until their outcome
//	hyperty    sent.apart             the runtime's       the posts of a window; until they are confirmed
//	udp/reach  Candidates             peers'              64 addresses, 4 ports of an IP address; until the set-up ends
//	udp/reach  Budget.hosts, .remotes peers'              two entries for each datagram of Limits.All; until the budget has refilled, a minute
//	udp/reach  Budget.answered, .proven peers'            4,096 each; the older half goes
