// Package handshake is what two runtimes prove to each other before a session, and the keys that they seal its frames with
// from then on. It keeps nothing but what one handshake, or one pair of incarnations, needs.
package handshake
