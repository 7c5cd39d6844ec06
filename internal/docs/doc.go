// Package docs has the tests that keep the documentation true: links between the pages, and to files and headings, lead
// somewhere; folders and files that the pages name are there; fenced Go is the text of a file that is compiled; fenced YAML is a
// configuration that the runtime takes; commands exist, and have the flags that the pages give them.
//
// A fenced block of Go has a comment before it that names the file it is from, from the project's root:
//
//	<!-- from examples/request-answer/main.go -->
//
// It has to be there as it is, but for comments and white space; of several top-level declarations each by itself.
package docs
