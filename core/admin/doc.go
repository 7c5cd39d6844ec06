// Package admin answers the operator: what `protofly status`, `path`, `plugins reload` and `profile` ask of a running runtime.
//
// It keeps nothing. What it says is what the other components of core know at that moment, each by itself: an [Admin] asks
// them one after the other, so a status is no snapshot of all of them together.
package admin
