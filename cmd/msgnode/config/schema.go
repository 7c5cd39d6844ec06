package config

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/plugins/msgnode-ws/node"
)

// Schema is every key of a node's configuration.
func Schema() *config.Schema {
	keys := append(placeKeys(), natsKeys()...)
	keys = append(keys, doorKeys()...)
	keys = append(keys, admitKeys(), limitKeys(node.DefaultLimits()), timeKeys(node.DefaultTimes()), logKeys())
	return &config.Schema{Program: "protofly-node", Prefix: "PROTOFLY_NODE_", SingleUnderscores: true, WorkingFolder: true, Keys: keys}
}

func placeKeys() []config.Key {
	return []config.Key{
		{Name: "domain", Type: config.Text, Flag: "domain", Example: "example.com",
			Required: "it is required: whose node this is, a domain such as example.com",
			About:    "The domain that the node serves."},
		{Name: "listen", Type: config.Text, Flag: "listen", Default: "127.0.0.1:4433",
			About: "The host:port to listen at, port 0 for any."},
		{Name: "data", Type: config.Path, Flag: "data", Default: "", Example: "state",
			About: "The folder of the node's state. Required where nats is not set."},
	}
}

func natsKeys() []config.Key {
	return []config.Key{
		{Name: "nats", Type: config.Text, Flag: "nats", Default: "", Hide: node.RedactNATS, Example: "nats://nats.example.com:4222",
			About: "The URL of an external NATS cluster with JetStream, instead of data; several are separated by commas."},
		{Name: "nats_key_file", Type: config.Path, Flag: "nats-key-file", Default: "", Example: "nats-key",
			About: "The file with the secret that the nodes of the domain share, 32 random characters or more. Required with nats."},
		{Name: "nats_credentials", Type: config.Path, Flag: "nats-credentials", Default: "", Example: "node.creds",
			About: "The file with the node's user of NATS (JWT and key)."},
		{Name: "replicas", Type: config.Int, Default: int64(1), Most: 5, Zero: "the default", Least: 1, Unit: "servers",
			About: "How many servers of an external cluster keep each piece of the state."},
	}
}

// doorKeys are the keys on how the node is reached.
func doorKeys() []config.Key {
	return []config.Key{
		{Name: "tls", About: "The node's certificate.", Keys: []config.Key{
			{Name: "cert", Type: config.Path, Flag: "tls-cert", Default: "", Example: "cert.pem", About: "The TLS certificate, a PEM file."},
			{Name: "key", Type: config.Path, Flag: "tls-key", Default: "", Example: "key.pem", About: "The TLS key, a PEM file."},
		}},
		{Name: "insecure", Type: config.Bool, Flag: "insecure", Default: false,
			About: "Whether plain WebSockets are allowed beyond loopback, for a node behind a proxy that ends TLS."},
		{Name: "public_url", Type: config.Text, Flag: "public-url", Was: []string{"publicURL"}, Default: "", Check: webSocketURL,
			Shown: "the one that the descriptor was asked at", Example: "wss://node.example.com/protofly",
			About: "The WebSocket URL under which stubs reach the node, for its descriptor."},
		{Name: "legacy", Type: config.Bool, Flag: "legacy", Default: false,
			About: "Whether the reference implementation's JSON dialects are allowed, which prove nothing about who connects."},
		{Name: "origins", Type: config.List, Default: []any{}, Check: noSpaces, Example: "[\"*.example.com\"]",
			About: "The web pages that may connect besides the node's own, as host patterns."},
		{Name: "proxies", Type: config.List, Default: []any{}, Check: isNetworks,
			About: "The networks of the proxies before the node: the last address in X-Forwarded-For that is not one of them counts. If insecure is set and this is not, nothing is counted by address."},
		{Name: "exempt", Type: config.List, Default: []any{"127.0.0.0/8", "::1/128"}, Check: isNetworks,
			About: "The networks whose connections are not counted by address."},
	}
}

func admitKeys() config.Key {
	words := []string{node.Anyone, node.Listed, node.Invited}
	const nothing = "write anyone, listed or invited, or leave the key out"
	return config.Key{Name: "admit", About: "Who may use the node. Unless members is anyone, visitors that have no token reach members only, and are given no addresses.", Keys: []config.Key{
		{Name: "members", Type: config.Text, Default: node.Anyone, Words: words, Nothing: nothing,
			About: "Which runtimes of the node's own domain may use it. listed: admit.runtimes; invited: these, and those that have a token."},
		{Name: "visitors", Type: config.Text, Default: node.Anyone, Words: words, Nothing: nothing,
			About: "The same for runtimes of other domains."},
		{Name: "runtimes", Type: config.List, Default: []any{}, Check: noSpaces, Example: "[]",
			About: "Runtimes that are admitted, by their addresses."},
		{Name: "revoked", Type: config.List, Default: []any{}, Check: noSpaces,
			About: "Runtimes, and IDs of tokens, that are not admitted, whatever the other keys say."},
		{Name: "key", Type: config.Path, Default: "", Shown: "admission-key.pem in data", Example: "admission-key.pem",
			About: "The file of the key that tokens are signed with (PEM), or of its public key. The nodes of a domain share it; a new key makes all earlier tokens invalid."},
	}}
}

// minQueue is the least value of limits.queue: room for one large packet.
const minQueue = 2 << 20

func limitKeys(d node.Limits) config.Key {
	count := func(name string, value int, unit, about string) config.Key {
		return config.Key{Name: name, Type: config.Int, Default: int64(value), Most: math.MaxInt32, Unit: unit, About: about}
	}
	size := func(name string, value int64, about string) config.Key {
		return config.Key{Name: name, Type: config.Size, Default: value, Unit: "bytes", About: about}
	}
	keys := []config.Key{
		count("connections", d.Connections, "", "Connections of runtimes, at once."),
		count("unproven", d.Unproven, "", "Connections that have not proved a runtime's key yet."),
		count("legacy", d.Legacy, "", "Connections in the reference's dialects."),
		count("per_address", d.PerAddress, "", "Connections of one IPv4 address or IPv6 /64 network, at once."),
		size("queue", d.Queue, "What waits for one connection."),
		size("memory", d.Memory, "What is kept for all connections; at least limits.queue."),
		count("handshakes", d.Handshakes, "a second", "New connections from one address; 10 times that at once."),
		count("newcomers", d.Newcomers, "an hour", "Runtimes that the node does not know, from one address; a fifth of it at once."),
		count("requests", d.Requests, "20 µs a second", "What requests to the node's functions on one connection may cost: 1 for a look-up, 5 for a change, 1 for each 32 connections that get a publication. 10 times that at once."),
		count("address_requests", d.AddressRequests, "20 µs a second", "The same for all connections and requests of one address; not faster than four times that."),
		count("addresses", d.Addresses, "", "Allocated addresses of one runtime."),
		count("block", d.Block, "", "Addresses in one allocation."),
		count("subscriptions", d.Subscriptions, "", "Addresses that one runtime subscribes."),
		count("registrations", d.Registrations, "", "Live Domain Registry entries of one runtime."),
		size("entry", int64(d.Entry), "A Domain Registry entry."),
		count("writes", d.Writes, "a second", "Writes to the state by one runtime; 10 times that at once."),
		count("results", d.Results, "", "Entries in an answer of the Domain Registry, chosen fairly by address and runtime if there are more."),
		size("runtime_state", d.RuntimeState, "All that the state has of one runtime."),
		size("address_state", d.AddressState, "All that came from one address."),
		size("state", d.State, "The whole state."),
		count("rows", d.Rows, "", "Entries of the whole state."),
		size("min_free", d.MinFree, "What stays free on the disk under data; else writes are refused."),
	}
	for i := range keys {
		keys[i].Zero = "the default"
		switch keys[i].Name {
		case "queue":
			keys[i].Least = minQueue
		case "entry":
			keys[i].Most = node.MaxEntry
		case "min_free":
			keys[i].Was = []string{"minFree"}
		}
	}
	return config.Key{Name: "limits", About: "What the node spends at most. What is beyond a limit is refused.", Keys: keys}
}

func timeKeys(d node.Times) config.Key {
	one := func(name string, value time.Duration, about string) config.Key {
		return config.Key{Name: name, Type: config.Duration, Default: config.FormatDuration(value), Least: int64(time.Millisecond), Zero: "the default", About: about}
	}
	return config.Key{Name: "times", About: "The node's periods.", Keys: []config.Key{
		one("handshake", d.Handshake, "How long the whole handshake of a connection may take."),
		one("write", d.Write, "How long the write of a packet may take; then the connection is closed."),
		one("ping", d.Ping, "Between pings, and how long an answer may take."),
		one("grace", d.Grace, "How long subscriptions outlive their connection."),
		one("sweep", d.Sweep, "Between looks for what has expired."),
		one("state", d.State, "For one read or write of the state."),
		one("retention", d.Retention, "How long addresses of runtimes that stay away are kept, and disconnected registrations of addresses that a runtime keeps."),
	}}
}

func logKeys() config.Key {
	return config.Key{Name: "log", About: "The log on stderr.", Keys: []config.Key{
		{Name: "level", Type: config.Text, Flag: "log-level", Default: "info", Words: []string{"trace", "debug", "info", "warn", "error"}, About: "The lowest level that is logged."},
		{Name: "format", Type: config.Text, Flag: "log-format", Default: "text", Words: []string{"text", "json"}, About: "The form of the log's lines."},
	}}
}

func webSocketURL(value any) error {
	if text, _ := value.(string); text != "" && !strings.HasPrefix(text, "ws://") && !strings.HasPrefix(text, "wss://") {
		return errors.New("want ws://… or wss://…")
	}
	return nil
}

func isNetworks(value any) error {
	list, _ := value.([]string)
	_, err := networks(list)
	return err
}

// noSpaces refuses lists whose items are separated by spaces.
func noSpaces(value any) error {
	list, _ := value.([]string)
	for _, item := range list {
		if item == "" || strings.ContainsAny(item, " \t\n") {
			return fmt.Errorf("%q is empty or has a space in it: separate items by commas", item)
		}
	}
	return nil
}
