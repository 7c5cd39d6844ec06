// Package admission limits the work and the memory that others cause in this runtime, so that no remote runtime and no
// hyperty takes what the others need. It limits how much there may be at the same time, for each name and for all together,
// and the rate. It is used for the memory of remote runtimes' claims, for the look-ups that they cause, and for the tasks of
// the sync manager.
//
//   - [Quota] counts and refuses. It has no lock and does not wait: its owner guards it.
//   - [Gate] lets a limited number of callers in at a time; the others wait. Any goroutine may use it.
//   - [Pace] is a rate limit, for each name and for all. It keeps no entry per name, so made-up names cost no memory.
//
// The Message Node has another package admission (plugins/msgnode-ws/node/admission) for clients that it does not know. That
// one refuses, with a time to try again, instead of having callers wait, closes connections to make room, and counts by
// network address. This package never ends what it has let in.
package admission
