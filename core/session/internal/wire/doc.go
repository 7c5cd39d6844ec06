// Package wire is the form of a session's frames: their heads, the fields that every sealed frame has, and the messages and
// records behind them. It keeps nothing and decides nothing. core/session/PROTOCOL.md has the same in words.
package wire
