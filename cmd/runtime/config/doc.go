// Package config is a runtime's configuration: its keys, and what they mean for the core. Five lines are enough:
//
//	domain: example.com
//	node: wss://node.example.com/protofly
//	plugins:
//	  use: [quic, webrtc]
//
// Package internal/config has the rules of files and variables, which the Message Node shares. PROTOFLY_SOCKET, which applications read as well, is
// api.socket, and PROTOFLY_CONFIG names the file. Variables that begin with PROTOFLY_NODE_ are the Message Node's and are
// left alone. In a plug-in's name "_" stands for "-": PROTOFLY_STUBS__MSGNODE_WS__CA.
//
// The keys below stubs.<plug-in> are the plug-in's own. If the installed plug-in describes its options (sdk.Descriptor) they are
// checked like every other key, else they are passed on unchecked.
package config
