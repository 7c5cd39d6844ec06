// Command runtime is Protofly's runtime and its command line; it is built as protofly.
//
//	protofly run --config FILE        runs a runtime until it is told to end (SIGINT, SIGTERM)
//	protofly config validate|show     checks a configuration; prints the effective one
//	protofly plugins list|install     the installed protostubs
//	protofly status, path, trace      how a running runtime is, which way a message would go, what it does
//	protofly send, listen             messages from a shell
//
// What is meant for other programs goes to stdout, everything else to stderr. "run" prints one line on stdout when it
// is ready:
//
//	runtime hyperty-runtime://example.com/abc… ready, socket /run/user/1000/protofly/api.sock
//
// Exit codes: 0 well, 1 it failed, 2 the command or the configuration is wrong.
package main
