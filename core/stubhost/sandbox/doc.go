// Package sandbox confines a plug-in's process on Linux: what a plug-in can do as the user whose process it is, it may
// not do all the same.
//
// # What holds it
//
//   - Landlock, where the kernel has it: the process reads its own folder, its program, the system's programs, libraries
//     and certificates, what name resolution needs, and the files that the operator's configuration names; it writes its
//     own folder and nothing else. It sees nothing of /proc, cannot trace or signal a process outside of the sandbox
//     (signals: from ABI 6 on), nor connect to an abstract Unix socket (ABI 6) or to one with a path (ABI 9) that is
//     served outside. TCP and UDP are free: a transport needs them.
//   - A seccomp filter, on amd64 and arm64: it refuses the calls by which a process looks into others, changes mounts,
//     namespaces, modules, clocks or keys, or goes around the filter; and those that signal the thread which has started it,
//     that being in the sandbox too, or limit other processes.
//     A program that is only asked what it is opens no sockets either (Policy.Alone).
//   - PR_SET_NO_NEW_PRIVS, and no capabilities but the one to listen at ports below 1024.
//   - Limits: no core dumps, a size of each file, a number of open files. See [Limit].
//
// All of it is inherited by what the process starts, and none of it can be taken off. It applies when the process is
// started and costs nothing per message.
//
// # Users
//
// Beside that a process of root's can start one under a user ID of its own: [Separate]. It is about the thread that starts it, as
// Confine is, and comes first, since Confine leaves no capability to change users. [Lacks] says before whether the process
// would lose something by it.
//
// # What it does not hold
//
// A rule is about the file that was at a path when the process was started. A file that is replaced later (as some
// systems do with /etc/resolv.conf) is another file: the process sees it once it has been started again. Without ABI 6
// a plug-in can send signals to other processes of its user.
package sandbox
