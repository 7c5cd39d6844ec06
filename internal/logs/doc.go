// Package logs makes the loggers of all programs of the house. Whatever a stranger or a plug-in can cause to be logged
// is limited here, by one mechanism, and what they wrote is made printable here:
//
//   - Lines are counted by the logger's name and the message's text. Of each text a burst is logged and then a few lines a
//     second; what is left out is counted, and told in a line of its own, [Told] after the first one was left out. So a
//     flood of one kind costs that kind's lines and no other's, and nothing goes unmentioned.
//   - The text of a message is a constant of the code. Where it is not (a plug-in's own words), the table of that logger's
//     name is full at some time; its texts beyond that share one allowance, and other names' are not touched.
//   - Text and values are on one line, cut, with what is not printable as its escape. So a value cannot pretend to be
//     another line, nor steer a terminal.
//
// What is below the logger's level costs one comparison. The times are the clock's, so tests run it in testing/synctest.
package logs
