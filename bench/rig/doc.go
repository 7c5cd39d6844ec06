// Package rig runs the real thing for the examples: it builds the binaries and starts Message Nodes and runtimes as
// processes of their own, ends them, kills them and starts them again.
//
// Everything that it makes is in one folder, [House.Dir]. Processes are bound to the life of this one unless
// House.Free says otherwise, so that an example that is killed leaves nothing running where the system allows that.
package rig
