// Package stubhost runs protostubs: it starts plug-ins as processes, keeps a link to each, runs instances of stubs in
// them, starts them again when they fail, and leaves nothing behind (specification, "Protostub lifecycle").
//
// One process runs per plug-in, however many instances it has; it starts with the first and ends shortly after the
// last. An instance is addressed by its stub URL. Its messages reach the core by Options.Message and go to it by
// [Host.Post]; its data come by Options.Frames and go by [Host.Send], which names a door that the stub has opened.
//
// # Rooms
//
// A [Host] has the table of what is deployed and the plug-ins. A plugin sees to it that its process runs while anything needs
// it; the launcher has what all processes share. Below are packages that know nothing of the host:
//
//	stub        one deployed stub over the processes that run it: start, restart, takeover, its doors and messages
//	process     one running process and its link: start, watch, end
//	status      what a stub has said of itself and of its peers
//	users       user IDs of their own for plug-ins
//	executable  private copies of executables, which have the right checksum
//	family      the host's processes, and what they leave behind
//	output      what plug-ins write, logged at a bounded rate
//	quota       what a process may keep in its folder
//	throttle    what a stub may take of a processor
//	failure     why a plug-in does not start or has ended
//	sandbox     what confines a process
//
// # Trust
//
// A plug-in may be written by a stranger, and nothing that it does harms the host or another plug-in. It runs only
// if its executable has the checksum that it was installed with; what runs is a private copy, so that the file
// cannot change between the check and the start. It gets a minimal environment, no standard input, and one Unix
// socket in a private directory, on which both sides authenticate each other with certificates made for that start.
// Its output is logged at a bounded rate, its link's memory is bounded (package internal/link), and each way to
// misbehave at the start is a [*StartError] that says which one and what to do.
//
// On Linux the process is confined (package sandbox), where the kernel can: it reads and writes its own directory, reads
// the system's programs and libraries and the files that its configuration names, and neither sees nor signals other
// processes. [Host.Sandbox] says whether that is so. A process that is a plug-in's, or was started by one, is known to
// [Host.Owns], so that the runtime's own services can refuse it.
//
// Where this process is root's it starts each plug-in under a user ID of its own (Options.Users), which owns its directory
// and nothing else. The directories are then in that for temporary files, since others do not reach Options.Dir, with
// copies of the executables beside them. Before each start is found out whether the ID can read and run what the plug-in needs,
// which its schema and the operator name; where it cannot, the plug-in runs under this process's user, as where there are no
// such IDs, or is refused (sandbox.Required). [PluginState] says which ID it is, or why there is none and what to do.
//
// Whatever a plug-in says or keeps has a bound: its log, in lines and bytes; the texts of its errors, version and
// statuses; and what is in its directory (Options.Quota), beyond which it is killed. What it asks for and is refused, or
// says and nobody can read or it may not say, is counted: too much of it ends its process, as a crash with that reason. What
// is no offence costs the core a bounded part of its time: the log is read at a pace, and so are the messages of a P2P stub and
// frames that are for nobody (package throttle).
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
// # Reload
//
// [Host.Reload] replaces the process of a plug-in by one of another executable while it is in use. The new process is
// started beside the old one, checked like any other; where that fails the old one goes on and knows of nothing. Then
// each stub that others reach by a fixed address is taken over: a run of it is started in the new process under the
// same URL, and when it answers (a Message Node's stub: when it is connected) the messages to the stub go there. The
// run in the old process goes on beside it with what it has: a Handler with its connections and their doors, until the
// last one is closed; a Message Node's stub is ended at once, since the node has one connection of a runtime. While
// there are two runs under one URL
//
//   - a response goes to the run that has asked, a command about a peer to the one that has that peer, an update of a
//     data object to both, anything else to the new one;
//   - a door is looked for in both;
//   - the core hears of a peer from the new run once that has a live connection with it; before, the end of the old
//     run's connection is told too. What the old run says of itself is not.
//
// Requesters have one connection each. They stay in the old process until whoever deployed them has replaced them:
// ReloadOptions.Moved says when new ones start in the new process. The old process ends when nothing runs in it any
// more, or when Options.Drain is over: what is in it then is told as broken and started again in the new one, as
// after a crash. If the new process dies before it has taken over, the old one goes on; after that, it is a crash.
//
// A plug-in of which no two can run at a time (it listens at a fixed port) refuses to start beside itself. With
// ReloadOptions.Break the old process is ended first.
//
// # Ends
//
// [Host.Close] asks every process to end, kills what does not within the grace, and returns when no process, socket
// or goroutine is left; it keeps its time whatever a plug-in does. A link ends with the process that it was made for,
// whoever else holds it. When the host itself is killed the kernel ends the processes on Linux; elsewhere, and for processes started by others, the plug-in notices
// that its link has ended.
//
// What a plug-in has started is ended with it: the processes of its group, and on Linux those that have left it and still
// have the environment that they were born with. Those that hide that too are ended where the process runs nothing but
// the host (Options.Reaper): it is then their parent. When such a host is killed with -9, a process that hides stays, and
// one that does not hide is ended by the next host in the same Dir. A supervisor that ends the whole control group, as
// systemd does by default, leaves nothing.
package stubhost
