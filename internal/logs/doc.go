// Package logs makes the loggers of all programs of this project. It limits what strangers and plug-ins can cause to be logged,
// and makes their text printable:
//
//   - Lines are counted by the logger's name and the message's text. Of each text a burst is logged, and then a few lines a
//     second. The others are counted, and the count is logged [Told] after the first one was left out. So a
//     flood of one kind of lines suppresses no other kind, and the log says what it left out.
//   - The text of a message usually is a constant in the code. If it is not (a plug-in's own text), the table of that logger's
//     name becomes full; its further texts share one allowance. Loggers with other names are not affected.
//   - Text and values are on one line, cut to a limit, with escapes for runes that are not printable. So a value cannot look like
//     another line, and cannot control a terminal.
//
// A line below the logger's level costs one comparison. Time comes from package time, so that tests use testing/synctest.
package logs
