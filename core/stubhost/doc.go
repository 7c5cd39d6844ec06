// Package stubhost runs protostubs: it starts plug-ins as processes, keeps a link to each, runs instances of stubs in
// them, starts them again when they fail, and leaves nothing behind (specification, "Protostub lifecycle").
//
// One process runs per plug-in, however many instances it has; it starts with the first and ends shortly after the
// last. An instance is addressed by its stub URL. Its messages reach the core by Options.Message and go to it by
// [Host.Post]; its data come by Options.Frames and go by [Host.Send], which names a door that the stub has opened.
//
// # Trust
//
// A plug-in may be written by a stranger, and nothing that it does harms the host or another plug-in. It runs only
// if its executable has the checksum that it was installed with; what runs is a private copy, so that the file
// cannot change between the check and the start. It gets a minimal environment, no standard input, and one Unix
// socket in a private directory, on which both sides authenticate each other with certificates made for that start.
// Its output is logged at a bounded rate, its link's memory is bounded (package sdk/link), and each way to
// misbehave at the start is a [*StartError] that says which one and what to do.
//
// # Crashes
//
// When a process exits unasked, or an instance returns, the core is told by the status events that the stub can no
// longer send: for each resource that was live "disconnected", for each whose set-up had begun "failed", for a stub's
// own status "disconnected". They follow everything that the stub had sent. Then the same instances are started
// again, with Restarted set, after a jittered delay that doubles from 100 ms to 10 s and begins anew after 10 s of
// health. A frozen process, which leaves the health check of go-plugin (every plug-in has to serve it) unanswered for
// two times 5 s, is killed: that is a crash like any other.
//
// # Ends
//
// [Host.Close] asks every process to end, kills what does not within the grace, and returns when no process, socket
// or goroutine is left. When the host itself is killed the kernel ends the processes on Linux; elsewhere, and for
// processes started by others, the plug-in notices that its link has ended.
package stubhost
