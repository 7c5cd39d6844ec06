// Package house measures the structure of this project's code, and its test enforces these limits:
//
//   - a file has at most [MaxLines] lines, tests included;
//   - a function has at most [MaxFunction] lines;
//   - a struct has at most [MaxFields] fields;
//   - a package-level variable is not changed outside its declaration;
//   - of the references between the files of a package of core, or of cmd/runtime, at most [MaxUpward] percent run upward.
//
// The last limit says how well a package can be read from its first file to its last. A file refers to another one if
// it uses a name that is declared there: a function, a type, a method, a field, a variable or a constant. Two files count once
// for each direction, whatever the number of names. The files are put into the order in which the fewest references run
// upward, that is from a file to an earlier one. Every circle of files has at least one upward reference. A package
// of parts that own their state has few; a package in which all files depend on each other has 20 % and more.
//
// Generated code does not count. Code that exceeds a limit is in a list of exceptions (exceptions_test.go), each with its
// present figure. The test fails if a figure is exceeded, and if an exception is no longer needed, so that the list only
// shrinks. A change that lowers a figure lowers it in the list too.
package house
