// Package stubhost runs protostubs. It starts plug-ins as processes, keeps a link to each process, runs instances of stubs in
// it, starts them again when they fail, and leaves no process behind (specification, "Protostub lifecycle").
//
// There is one process per plug-in, however many instances of stubs run in it. It starts with the first instance and ends
// shortly after the last. An instance is addressed by its stub URL. The core gets an instance's messages from Options.Message
// and sends it messages with [Host.Post]. Data come from Options.Frames and go with [Host.Send], which names a door that the
// stub has opened.
//
// # Where to look
//
//	a plug-in's process is started and started again   plugin.go: EnsureProcess, start, ended
//	the back-off between starts of a process           plugin.go: failed; Options.BackoffMin, BackoffMax, Healthy
//	a stub is started again in a process that runs     stub/life.go: Run
//	a plug-in's output is limited                      output/output.go: logRate, byteRate, readRate
//	a plug-in is replaced while it is in use           reload.go: Reload; stub/takeover.go: TakeOver
//	a frozen process is killed                         process/health.go: checkHealth
//	a plug-in that breaks the rules is killed          process/process.go: CountViolation, KillFor
//	a process is confined                              launcher.go: confine, separate; sandbox, users
//	everything ends                                    host.go: Close
//
// A [Host] has the table of the deployed instances and of the plug-ins. Each plugin (plugin.go) keeps its process running while
// an instance needs it. The launcher (launcher.go) has what the processes share. These packages know nothing of the host:
//
//	stub        one deployed stub and the processes that run it in turn: start, restart, takeover, its doors and messages
//	process     one running process and its link: start, supervise, end
//	status      the last status of a stub and of each of its peers
//	users       dedicated user IDs for plug-ins
//	executable  private copies of executables, with verified checksums
//	descendants the processes that plug-ins have started, and the orphans among them
//	output      a plug-in's output, logged at a limited rate
//	quota       the limit of what a process keeps in its folder
//	throttle    the limit of processor time that a stub causes besides carrying data
//	failure     why a plug-in did not start, or has ended
//	sandbox     the confinement of a process
//
// # Trust
//
// A plug-in may be written by a stranger. Nothing that it does harms the host or another plug-in. A plug-in runs only
// if its executable has the checksum that it was installed with. The host runs a private copy, so that the file
// cannot change between the check and the start. A plug-in gets a minimal environment, no standard input, and one Unix
// socket in a private directory, on which both sides authenticate each other with certificates made for that start.
// Its output is logged at a limited rate, its link's memory is bounded (package internal/link), and a start that fails
// gives a [*StartError], which says why and what to do.
//
// On Linux the process is confined (package sandbox), where the kernel can: it reads and writes its own directory, reads
// the system's programs and libraries and the files that its configuration names, and neither sees nor signals other
// processes. [Host.Sandbox] says whether that is so. [Host.Owns] tells whether a process is a plug-in or was started by one,
// so that the runtime's own services can refuse it.
//
// Where the host runs as root, it starts each plug-in under a dedicated user ID (Options.Users), which owns the plug-in's
// directory and nothing else. These directories, and copies of the executables, are then in the directory for temporary files,
// since other users cannot reach Options.Dir. Before each start the host checks whether the user ID can read and run what
// the plug-in needs, as its schema and the operator name it. Where it cannot, the plug-in runs under the host's user, or is
// refused (sandbox.Required). [PluginState] says which user ID the plug-in has, or why it has none and what to do.
//
// Everything that a plug-in says or stores has a limit: its log (lines and bytes), the texts of its errors, version and
// statuses, and its directory (Options.Quota, beyond which it is killed). Requests that the host refuses and messages that it
// cannot read, or that the stub may not send, are counted as violations. Too many of them end the process; the core sees a
// crash with that reason. Work that is no violation costs the host a bounded part of its time: it reads the log, the messages
// of a P2P stub, and frames for nobody at a limited pace (package throttle).
//
// # Crashes
//
// When a process exits unexpectedly, or an instance returns, the host sends the core the status events that the stub can no
// longer send: "disconnected" for each resource that was live, "failed" for each whose set-up had begun, and "disconnected"
// for the stub itself. They follow everything that the stub had sent. Then the host starts the same instances
// again, with Restarted set. The delay before that is jittered, doubles from 100 ms to 3 s (Options.BackoffMin, BackoffMax),
// and begins anew after a process has run for 10 s (Options.Healthy). A process that leaves go-plugin's health check unanswered
// twice in a row (Options.Health, 5 s each) is frozen: the host kills it, which is a crash like any other.
//
// # Reload
//
// [Host.Reload] replaces the process of a plug-in by one of another executable while it is in use. The host starts the new
// process beside the old one, and checks it like any other. Where that fails, the old process goes on undisturbed. Then
// the new process takes over each stub that others reach by a fixed address: the host starts a run of the stub there, under
// the same URL. Once that run answers (a Message Node's stub: once it is connected), messages to the stub go to it. The
// run in the old process goes on beside it: a Handler keeps its connections and their doors until the
// last one is closed; a Message Node's stub is ended at once, since the node accepts one connection of a runtime. While
// there are two runs under one URL
//
//   - a response goes to the run that sent the request, a command about a peer to the run that has that peer, an update of a
//     data object to both, anything else to the new run;
//   - a door is looked for in both;
//   - the core gets a peer's status from the new run once that has a live connection with the peer; before, it also gets
//     the end of the old run's connection. The old run's own status is not passed on.
//
// A Requester has one connection. It stays in the old process until its deployer has replaced it: ReloadOptions.Moved says
// when new ones start in the new process. The old process ends when nothing runs in it any more, or when Options.Drain is
// over. What still runs in it then is reported as disconnected and started again in the new process, as after a crash. If the
// new process dies before it has taken over, the old one goes on; after that, it is a crash.
//
// Some plug-ins cannot run twice at a time, since they listen at a fixed port: the new process refuses to start beside the old
// one. With ReloadOptions.Break the host ends the old process first.
//
// # Ends
//
// [Host.Close] asks every process to end, kills those that do not within the grace period, and returns when no process, socket
// or goroutine is left. It returns in time whatever a plug-in does. A link ends with the process that it was made for,
// even where another process holds its file. When the host itself is killed, on Linux the kernel kills the plug-ins; elsewhere
// a plug-in notices that its link has ended, and exits.
//
// What a plug-in has started ends with it: the processes of its process group, and on Linux also those that have left the group
// but still have the environment that they were started with. Those that change their environment too are found where the host
// is their reaper (Options.Reaper). When such a host is killed with -9, a process that hides in this way stays; one that does
// not is killed by the next host with the same Dir. A service manager that ends the whole control group, as
// systemd does by default, leaves nothing.
package stubhost
