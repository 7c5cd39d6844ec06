// Package paths is how a session reaches a remote runtime: by which path, when that is left and for which other one, and
// whether it carries anything.
//
// [Paths] keeps what is known of paths, and of the one in use whether what was sent by it is acknowledged. It takes no lock,
// starts nothing and sends nothing: its owner tells it what happened and what time it is, asks it what it wants (another
// path, a probe), and does that. Times are since its owner began; 0 is "not set".
package paths
