// Package refjson reads the JSON of the reference implementation's stubs: messages whose to may be a list, lists in any of the
// forms in which implementations write them, and what can still be read of a text that is not a message. It keeps no state.
//
// All of its input may come from strangers. So every list and every copy has a bound, which is checked before memory is spent
// on it.
package refjson
