// Package config is a runtime's configuration: its keys, and what they mean for the core. Five lines are enough:
//
//	domain: example.com
//	node: wss://node.example.com/protofly
//	plugins:
//	  use: [quic, webrtc]
//
// Package internal/config has the dialect, which is the Message Node's too. PROTOFLY_SOCKET, which applications read as well, is
// api.socket, and PROTOFLY_CONFIG names the file. Variables that begin with PROTOFLY_NODE_ are the Message Node's and are
// left alone. In a plug-in's name "_" stands for "-": PROTOFLY_STUBS__MSGNODE_WS__CA.
//
// What stands under stubs.<plug-in> is the plug-in's own. Where the installed plug-in says which options it has
// (sdk.Descriptor), they are checked as every other key is; else they are passed on as they are.
package config
