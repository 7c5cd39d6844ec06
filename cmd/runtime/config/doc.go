// Package config reads a runtime's configuration: defaults, then the file, then the environment, then flags; the later
// wins. Five lines are enough:
//
//	domain: example.com
//	node: wss://node.example.com/protofly
//	plugins:
//	  use: [quic, webrtc]
//
// Types are strict: a number is not a text, "yes" is not a truth value. A key that does not exist is an error, which
// names where it stands and the nearest one that does. Every error of all sources is reported at once.
//
// The file is YAML. Paths in it are relative to its own folder; "~/" is the home folder.
//
// An environment variable is PROTOFLY_ and the key in capitals, with two underscores between its parts:
// PROTOFLY_P2P__POLICY=never is p2p.policy. An empty variable is as if it was not set. In a plug-in's name "_" stands for "-": PROTOFLY_STUBS__MSGNODE_WS__CA.
// Lists are separated by commas. PROTOFLY_SOCKET, which applications read too, is api.socket, and PROTOFLY_CONFIG
// the file. Variables that begin with PROTOFLY_NODE_ are the Message Node's and are left alone.
//
// What stands under stubs.<plug-in> is the plug-in's own: it is passed on as it is, as JSON.
package config
