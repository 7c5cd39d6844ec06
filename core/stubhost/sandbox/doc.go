// Package sandbox confines a plug-in's process on Linux: it takes rights from the process that its user has.
//
// # What confines a process
//
//   - Landlock, where the kernel has it: the process reads its own folder, its program, the system's programs, libraries
//     and certificates, what name resolution needs, and the files that the operator's configuration names; it writes its
//     own folder and nothing else. It sees nothing of /proc, cannot trace or signal a process outside of the sandbox
//     (signals: from ABI 6 on), nor connect to an abstract Unix socket (ABI 6) or to one with a path (ABI 9) that is
//     served outside. TCP and UDP are free: a transport needs them.
//   - A seccomp filter, on amd64 and arm64: it refuses the system calls by which a process reads other processes, changes mounts,
//     namespaces, modules, clocks or keys, or evades the filter. It also refuses those that limit other processes, or that signal
//     the thread which has started the process: that thread is inside the sandbox too, so Landlock does not protect it.
//     A program that is started only to describe itself opens no sockets either (Policy.NoSockets).
//   - PR_SET_NO_NEW_PRIVS, and no capabilities but the one to listen at ports below 1024.
//   - Limits: no core dumps, a size of each file, a number of open files. See [Limit].
//
// What the process starts inherits all of it, and no process can remove it. It is applied when the process is
// started, and costs nothing per message.
//
// # Users
//
// Besides, a process that runs as root can start one under a dedicated user ID: [Separate]. Like Confine it changes the thread that
// starts the process. It comes first, since Confine leaves no capability to change users. [Lacks] tells before the start what
// the process could not read or run under that ID.
//
// # Its limits
//
// A rule of Landlock is about the file that was at a path when the process was started. A file that is replaced later (as some
// systems do with /etc/resolv.conf) is another file, which the process can read only after its next start. Without ABI 6
// a plug-in can send signals to other processes of its user.
package sandbox
