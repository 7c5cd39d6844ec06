package config

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/busypoll"
	"github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/internal/networks"
	"github.com/protofly/protofly/sdk/hyperty"
)

// prefix begins the names of the runtime's environment variables.
const prefix = "PROTOFLY_"

// Schema is every key of a runtime's configuration. The plug-ins' own keys are those of stubs.
func Schema(stubs map[string]*config.Key) *config.Schema {
	keys := placeKeys()
	keys = append(keys, pluginKeys(), stubKeys(stubs), p2pKeys(), trustKeys())
	keys = append(keys, restKeys()...)
	return &config.Schema{Program: "protofly", Prefix: prefix, DefaultFile: ", else config.yaml in the user's folder for protofly", Keys: keys, FoldNames: "stubs",
		Variables: map[string]string{hyperty.SocketVariable: "api.socket"},
		Ignore:    func(variable string) bool { return strings.HasPrefix(variable, prefix+"NODE_") }}
}

// placeKeys are the keys of the runtime's domain, its Message Nodes and its data folder.
func placeKeys() []config.Key {
	data, err := dataFolder()
	return []config.Key{
		{Name: "domain", Type: config.Text, Flag: "domain", Check: text(checkDomain), Example: "example.com",
			Required: "it is required: the domain of this runtime, as in hyperty://example.com/…",
			About:    "The runtime's own domain, a host name in lower case."},
		{Name: "node", Type: config.Text, Flag: "node", Default: "", Check: text(checkNode), Shown: "the domain's well-known URL", Example: "wss://node.example.com/protofly",
			About: "The Message Node of that domain, a wss:// or ws:// URL."},
		{Name: "nodes", Type: config.Map, Default: map[string]any{}, Names: checkDomain, Example: "{other.example: \"wss://node.other.example/protofly\"}",
			Each:  &config.Key{Type: config.Text, Check: text(checkNode), Required: "it is empty: want a wss:// or ws:// URL, or leave the domain out"},
			About: "The Message Nodes of other domains, by domain. For a domain that is not named, the runtime reads https://<domain>/.well-known/protocolstub/default."},
		{Name: "data", Type: config.Path, Flag: "data", Default: data, NoDefault: err, Required: "it is empty", Shown: "~/.local/share/protofly (Linux)",
			About: "The folder of the runtime's key and of the plug-ins' files."},
	}
}

// pluginKeys are the keys of the plug-ins' processes.
func pluginKeys() config.Key {
	return config.Key{Name: "plugins", About: "Which plug-ins run, and how.", Keys: []config.Key{
		{Name: "dir", Type: config.Path, Flag: "plugins", Default: "", Shown: "installed in data", Example: "/usr/local/lib/protofly/plugins",
			About: "The folder where plug-ins are installed."},
		{Name: "use", Type: config.List, Check: pluginNames, Shown: "all installed P2P plug-ins", Example: "[quic, webrtc]",
			About: "The P2P plug-ins to run, the preferred one first. []: none, all messages go over the Message Node."},
		{Name: "node", Type: config.Text, Default: "msgnode-ws", Check: text(checkPluginName), Required: "it is empty",
			About: "The plug-in that reaches Message Nodes."},
		{Name: "poll", Type: config.Duration, Default: busypoll.Usual.String(), Most: int64(busypoll.Longest), Zero: "sleep at once",
			About: "How long the runtime and its plug-ins poll for the next message before they sleep, where messages come in quick succession (Linux). " +
				"Polling makes round trips much faster, and takes more CPU time."},
		{Name: "sandbox", Type: config.Text, Default: string(sandbox.Auto), Words: sandbox.Modes(),
			About: "Whether plug-ins are confined on Linux (Landlock, seccomp). auto: if the kernel can do it; required: if it cannot, the runtime does not start and plug-ins are not installed."},
		{Name: "uids", Type: config.Scalar, Default: string(sandbox.Auto), Check: text(checkUIDs), Required: "it is empty",
			About: "Whether each plug-in runs under a user ID of its own, which owns only its folder, if the runtime runs as root (Linux). auto: yes, for each plug-in that can " +
				"read its files under that ID, and for none if plugins.sandbox is off. A plug-in whose configuration names a file that the ID cannot read runs as root inside the sandbox; " +
				"\"protofly status\" names the file and what to do (chgrp ID FILE && chmod g+r FILE: the plug-in's group has the same number; for several plug-ins " +
				"setfacl -m u:ID:r FILE), then \"protofly plugins reload\". on: such a plug-in is refused, and the runtime does not start if the system has no such IDs. " +
				"off, or 0: all run as root. A number: as auto, with this number as the first of 65536 IDs, instead of 2100000000, also without the sandbox."},
		{Name: "paths", Type: config.Map, Default: map[string]any{}, Each: &config.Key{Type: config.List}, Example: "{quic: [/opt/certs]}",
			About: "Files and folders that a confined plug-in may read, by plug-in, as absolute paths. A plug-in may always read the files that its options name."},
	}}
}

// stubKeys are the plug-ins' own options.
func stubKeys(stubs map[string]*config.Key) config.Key {
	return config.Key{Name: "stubs", Type: config.Map, Default: map[string]any{}, Named: stubs,
		Each:  &config.Key{Type: config.Map, Each: &config.Key{Type: config.Any}},
		About: "Each plug-in's own options, by plug-in. If a plug-in does not describe its options they are passed on unchecked."}
}

// p2pKeys are the keys of direct connections.
func p2pKeys() config.Key {
	return config.Key{Name: "p2p", About: "Direct connections.", Keys: []config.Key{
		{Name: "policy", Type: config.Text, Default: "auto", Words: []string{"auto", "requested", "never", "commanded"},
			About: "When a direct connection is set up. auto: with the first message to a runtime; requested: with a message that asks for it; never: this runtime requests none, " +
				"and answers others' requests; commanded: by execute messages to the registry, for tests."},
		{Name: "prefer", Type: config.List, Default: []any{}, Check: pluginNames, Shown: "plugins.use", Example: "[quic, webrtc]",
			About: "The order in which transports are tried."},
		{Name: "changes", Type: config.Bool, Default: true, About: "Whether to subscribe to the changes of remote registries."},
	}}
}

// trustKeys are the keys of the trust policy.
func trustKeys() config.Key {
	return config.Key{Name: "trust", About: "The trust policy: which remote runtimes may exchange messages with this one.", Keys: []config.Key{
		{Name: "mode", Type: config.Text, Default: string(identity.Any), Words: identity.Modes(), Nothing: "write any or pinned, or leave the key out",
			About: "Which runtime owns a name. any: the one with a signed entry at the Domain Registry; pinned: the first one that was found there."},
		{Name: "peers", Type: config.List, Default: []any{anyPeer}, Empty: wantPeers,
			About: "The runtimes that are allowed, by their addresses; [any]: all. An empty list is an error."},
		{Name: "pins", Type: config.List, Empty: wantPins, Shown: "none", Example: "[\"hyperty://example.com/bob hyperty-runtime://example.com/…\"]",
			About: "Names with a fixed owner: each a hyperty's address, a space, and the address of the runtime that owns it. An empty list is an error."},
		{Name: "domains", Gone: noDomains},
		{Name: "without_sessions", About: "Runtimes of the reference implementation that are allowed. They have no sessions: their messages may be lost, repeated, reordered and read on the way.", Keys: []config.Key{
			{Name: "domains", Type: config.List, Default: []any{}, About: "All runtimes of these domains. Only the domain's Message Node says which runtimes these are."},
			{Name: "peers", Type: config.List, Default: []any{}, About: "These runtimes, by their addresses."},
		}},
	}}
}

// restKeys are the other keys.
func restKeys() []config.Key {
	socket, err := hyperty.DefaultSocket()
	return []config.Key{
		{Name: "catalogue", About: "How the Message Nodes of domains that neither node nor nodes names are found.", Keys: []config.Key{
			{Name: "networks", Type: config.List, Default: []any{networks.Public}, Check: checkNetworks, Nothing: "write [] for nowhere, or leave the key out",
				About: "The networks in which their descriptors and Message Nodes may be: public (the Internet), private, loopback, or prefixes as 10.1.0.0/16; []: none."},
		}},
		{Name: "sessions", About: "The sessions with remote runtimes.", Keys: []config.Key{
			{Name: "idle", Type: config.Duration, Default: config.FormatDuration(session.DefaultIdleTimeout), Least: int64(minIdle), Zero: "never",
				About: "After how long without messages what is kept of a remote runtime is dropped, unless messages are under way or there is a direct connection."},
		}},
		{Name: "api", About: "The local application API.", Keys: []config.Key{
			{Name: "socket", Type: config.Path, Flag: "socket", Default: socket, NoDefault: err, Required: "it is empty",
				Shown: "$XDG_RUNTIME_DIR/protofly/api.sock, else in the user's cache folder",
				About: "The path of the Unix socket for applications and commands."},
		}},
		{Name: "log", About: "The log on stderr.", Keys: []config.Key{
			{Name: "level", Type: config.Text, Flag: "log-level", Default: "info", Words: []string{"trace", "debug", "info", "warn", "error"}, About: "The lowest level that is logged."},
			{Name: "format", Type: config.Text, Flag: "log-format", Default: "text", Words: []string{"text", "json"}, About: "The form of the log's lines."},
		}},
		{Name: "trace", Type: config.Path, Flag: "trace", Default: "", Example: "trace.jsonl", About: "The file to which each step of the core is written, as JSON lines."},
		{Name: "trace_bodies", Type: config.Bool, Default: false, About: "Whether the trace has the first 512 bytes of each message's body, unencrypted."},
	}
}

// minIdle is the least time that sessions.idle may be.
const minIdle = time.Minute

// dataFolder is the default of data.
func dataFolder() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "protofly"), nil
	}
	find, below := os.UserHomeDir, filepath.Join(".local", "share", "protofly")
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		find, below = os.UserConfigDir, "protofly"
	}
	dir, err := find()
	if err != nil {
		return "", fmt.Errorf("no default place for the data (%w): set data, or use --data", err)
	}
	return filepath.Join(dir, below), nil
}
