// Package admin answers the operator: what `protofly status`, `path`, `plugins reload` and `profile` ask of a running runtime.
//
// It keeps nothing. Its answers are what the other components of core know at that moment: an [Admin] asks them one after the
// other, so a status is not a snapshot of all of them at the same time.
package admin
