// Package reference serves connections of the reference implementation's stubs: the plain WebSocket stub and the session stub, which
// write messages as JSON texts. They do not prove who connects; an operator has to allow them.
//
//   - plain.go: the plain stub names its runtime in its request.
//   - session.go: the session stub opens, re-opens and closes a session by messages.
//   - read.go: texts are read, and their messages go to package relay. Package refjson knows their forms.
package reference
