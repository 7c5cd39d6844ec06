// Package house measures how this project's code is built, so that a test holds it:
//
//   - a file has at most [MaxLines] lines, tests included;
//   - a function has at most [MaxFunction] lines;
//   - a struct has at most [MaxFields] fields;
//   - a package-level variable is not changed outside its declaration;
//   - of the references between the files of a package of core, or of cmd/runtime, at most [MaxUpward] percent run upward.
//
// The last one says how much of a package can be read from its first file to its last. A file refers to another one where
// it uses a name that is declared there: a function, a type, a method, a field, a variable or a constant. Two files count once
// for each direction, however many names there are. The files are put into the order in which the fewest references run
// from a file to one that stands before it; what still does so runs upward, and every circle has at least one. A package
// of parts that own their state has few, and one where everything hangs on everything has a fifth or more.
//
// Generated code does not count. What does not hold yet stands in a list of exceptions (exceptions_test.go), each with its
// present figure. The test fails where a figure is exceeded, and where an exception is no longer needed, so the list only
// shrinks. Whoever lowers a figure lowers it there too.
package house
