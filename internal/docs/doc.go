// Package docs has the tests that check the documentation: links between the pages, and to files and headings, are valid;
// folders and files that the pages name exist; fenced Go is part of a file that is compiled; fenced YAML is a
// valid configuration of the runtime; commands exist, and have the flags that the pages use.
//
// A fenced block of Go has a comment before it with the path of its file, from the project's root:
//
//	<!-- from examples/request-answer/main.go -->
//
// Apart from comments and white space the block has to be in the file as it is, each top-level declaration by itself.
package docs
