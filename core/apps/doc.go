// Package apps is the hyperties of this runtime: how one is registered, and what it is attached to the MessageBus by.
//
// An application is in the runtime's process ([Apps.Register]) or behind the local application API ([Apps.Attach]). Either
// way a hyperty has an attachment, which posts in its name and has what is sent to its address given to it, tracks the
// messages of which it wants to know what becomes of them, and ends everything that was kept for it with its Close.
//
// What a hyperty subscribes to at a Domain Registry it is told as long as it or another one of this runtime follows it,
// though the Message Node, which knows runtimes and no hyperties, may have forgotten it.
package apps
