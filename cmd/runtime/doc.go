// Command runtime is Protofly's runtime and its command line; it is built as protofly.
//
//	protofly run --config FILE        runs a runtime until it is told to end (SIGINT, SIGTERM)
//	protofly config init|check|show    writes, checks, and prints a configuration
//	protofly plugins list|install     the installed protostubs
//	protofly plugins reload, profile  replace a plug-in while it is in use; measure it
//	protofly status, path, trace      the state of a running runtime, which way a message would go, what the runtime does
//	protofly send, listen             messages from a shell
//
// Output for other programs goes to stdout, everything else to stderr. "run" prints one line on stdout when the runtime is
// ready:
//
//	runtime hyperty-runtime://example.com/abc… ready, socket /run/user/1000/protofly/api.sock
//
// Exit codes: 0 success, 1 failure, 2 the command or the configuration is wrong.
package main
