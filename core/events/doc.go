// Package events tells each component of core, the log and the trace what happens to the sessions with remote runtimes.
//
// A session reports a [session.Event]. [Sessions.Event] passes it on to the components that have to act: the Registry gives
// up a direct path that carries nothing; the sync manager drops a restarted runtime's observers and subscribes there again;
// the senders of messages that were given up are told. Nothing here waits or keeps anything.
package events
