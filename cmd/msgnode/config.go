package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/protofly/protofly/plugins/msgnode-ws/node"
)

// Config is the configuration file; every key has a default but domain and data.
type Config struct {
	Domain string `koanf:"domain" yaml:"domain"` // the domain that the node serves
	Listen string `koanf:"listen" yaml:"listen"` // host:port, port 0: any
	Data   string `koanf:"data" yaml:"data"`     // folder of the node's state
	NATS   string `koanf:"nats" yaml:"nats"`     // URL of an external NATS cluster, instead of data
	// NATSKeyFile is the file with the secret that the nodes of the domain share; needed with nats.
	NATSKeyFile string `koanf:"nats_key_file" yaml:"nats_key_file"`
	// NATSCredentials is the file with the node's user of NATS (JWT and key).
	NATSCredentials string `koanf:"nats_credentials" yaml:"nats_credentials"`

	Replicas  int      `koanf:"replicas" yaml:"replicas"`   // of the state, in an external cluster
	TLS       TLS      `koanf:"tls" yaml:"tls"`             // files in PEM form
	Insecure  bool     `koanf:"insecure" yaml:"insecure"`   // plain also beyond loopback: a proxy ends TLS
	PublicURL string   `koanf:"publicURL" yaml:"publicURL"` // where stubs reach the node, for its descriptor
	Legacy    bool     `koanf:"legacy" yaml:"legacy"`       // the reference implementation's JSON dialects
	Origins   []string `koanf:"origins" yaml:"origins"`     // web pages that may connect, as host patterns
	Proxies   []string `koanf:"proxies" yaml:"proxies"`     // networks of the proxies whose X-Forwarded-For counts
	Exempt    []string `koanf:"exempt" yaml:"exempt"`       // networks that limits by address do not count
	Admit     Admit    `koanf:"admit" yaml:"admit"`         // who may use the node
	Limits    Limits   `koanf:"limits" yaml:"limits"`
	Times     Times    `koanf:"times" yaml:"times"`
	Log       Log      `koanf:"log" yaml:"log"`
}

// TLS are the node's certificate and key.
type TLS struct {
	Cert string `koanf:"cert" yaml:"cert"`
	Key  string `koanf:"key" yaml:"key"`
}

// Log is how the node logs.
type Log struct {
	Format string `koanf:"format" yaml:"format"` // text or json
	Level  string `koanf:"level" yaml:"level"`   // trace, debug, info, warn, error
}

// Admit is [node.Admit].
type Admit struct {
	Members  string   `koanf:"members" yaml:"members"`   // anyone, listed or invited: of the node's domain
	Visitors string   `koanf:"visitors" yaml:"visitors"` // the same, of other domains
	Runtimes []string `koanf:"runtimes" yaml:"runtimes"` // runtimes that listed and invited admit
	Revoked  []string `koanf:"revoked" yaml:"revoked"`   // runtimes, and IDs of tokens
	Key      string   `koanf:"key" yaml:"key"`           // file of the key that tokens are signed with
}

// Limits are [node.Limits].
type Limits struct {
	Connections     int   `koanf:"connections" yaml:"connections"`
	Unproven        int   `koanf:"unproven" yaml:"unproven"`
	Legacy          int   `koanf:"legacy" yaml:"legacy"`
	PerAddress      int   `koanf:"per_address" yaml:"per_address"`
	Queue           int64 `koanf:"queue" yaml:"queue"`
	Memory          int64 `koanf:"memory" yaml:"memory"`
	Handshakes      int   `koanf:"handshakes" yaml:"handshakes"`
	Newcomers       int   `koanf:"newcomers" yaml:"newcomers"`
	Requests        int   `koanf:"requests" yaml:"requests"`
	AddressRequests int   `koanf:"address_requests" yaml:"address_requests"`
	Addresses       int   `koanf:"addresses" yaml:"addresses"`
	Block           int   `koanf:"block" yaml:"block"`
	Subscriptions   int   `koanf:"subscriptions" yaml:"subscriptions"`
	Registrations   int   `koanf:"registrations" yaml:"registrations"`
	Entry           int   `koanf:"entry" yaml:"entry"`
	Writes          int   `koanf:"writes" yaml:"writes"`
	Results         int   `koanf:"results" yaml:"results"`
	RuntimeState    int64 `koanf:"runtime_state" yaml:"runtime_state"`
	AddressState    int64 `koanf:"address_state" yaml:"address_state"`
	State           int64 `koanf:"state" yaml:"state"`
	Rows            int   `koanf:"rows" yaml:"rows"`
	MinFree         int64 `koanf:"minFree" yaml:"minFree"`
}

// Times are [node.Times].
type Times struct {
	Handshake time.Duration `koanf:"handshake" yaml:"handshake"`
	Write     time.Duration `koanf:"write" yaml:"write"`
	Ping      time.Duration `koanf:"ping" yaml:"ping"`
	Grace     time.Duration `koanf:"grace" yaml:"grace"`
	Sweep     time.Duration `koanf:"sweep" yaml:"sweep"`
	State     time.Duration `koanf:"state" yaml:"state"`
	Retention time.Duration `koanf:"retention" yaml:"retention"`
}

func defaults() Config {
	return Config{Listen: "127.0.0.1:4433", Replicas: 1, Exempt: []string{"127.0.0.0/8", "::1/128"},
		Admit: Admit{Members: node.Anyone, Visitors: node.Anyone}, Limits: Limits(node.DefaultLimits()), Times: Times(node.DefaultTimes()),
		Log: Log{Format: "text", Level: "info"}}
}

const envPrefix = "PROTOFLY_NODE_"

// maxConfig is the largest configuration file, in bytes.
const maxConfig = 1 << 20

// flags are the keys that have a flag.
var flags = []struct{ flag, key, about string }{
	{"domain", "domain", "domain that the node serves"},
	{"listen", "listen", "host:port to listen on, port 0 for any"},
	{"data", "data", "folder of the node's state"},
	{"nats", "nats", "URL of an external NATS cluster, instead of --data"},
	{"nats-key-file", "nats_key_file", "file with the secret that the nodes of the domain share, needed with --nats"},
	{"nats-credentials", "nats_credentials", "file with the node's user of NATS (JWT and key)"},
	{"tls-cert", "tls.cert", "TLS certificate (PEM file)"},
	{"tls-key", "tls.key", "TLS key (PEM file)"},
	{"public-url", "publicURL", "WebSocket URL under which stubs reach the node"},
	{"log-format", "log.format", "text or json"},
	{"log-level", "log.level", "trace, debug, info, warn or error"},
}

func addFlags(f *pflag.FlagSet) {
	for _, d := range flags {
		f.String(d.flag, "", d.about)
	}
	f.Bool("legacy", false, "allow the reference implementation's JSON dialects, which prove nothing of who connects")
	f.Bool("insecure", false, "allow plain WebSockets beyond loopback, for a node behind a proxy that ends TLS")
}

// load reads the configuration: defaults < file < environment < flags. The error is a usageError.
func load(file string, f *pflag.FlagSet) (*Config, error) {
	config, err := read(file, f)
	if err != nil {
		return nil, usageError{err}
	}
	return config, nil
}

func read(file string, f *pflag.FlagSet) (*Config, error) {
	k := koanf.New(".")
	if file != "" {
		text, err := readFile(file)
		if err != nil {
			return nil, err
		}
		if err := k.Load(rawbytes.Provider(text), yaml.Parser()); err != nil {
			return nil, fmt.Errorf("config %s: %w", file, err)
		}
	}
	known := keys(reflect.TypeFor[Config](), "")
	byEnv := map[string]string{}
	for _, key := range known {
		byEnv[envPrefix+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))] = key
	}
	transform := func(name, value string) (string, any) {
		if strings.TrimSpace(value) == "" {
			return "", nil // an empty variable is as if it was not set, whatever its name
		}
		if key, ok := byEnv[name]; ok {
			if value == "" {
				return "", nil // as if it were not set: nothing empty may widen who is trusted
			}
			return key, text(key, value)
		}
		return strings.ToLower(strings.TrimPrefix(name, envPrefix)), value // unknown: shown as an error below
	}
	if err := k.Load(env.Provider(".", env.Opt{Prefix: envPrefix, TransformFunc: transform}), nil); err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	given := map[string]any{}
	for _, d := range flags {
		if f.Changed(d.flag) {
			given[d.key], _ = f.GetString(d.flag)
		}
	}
	for _, name := range []string{"legacy", "insecure"} {
		if f.Changed(name) {
			given[name], _ = f.GetBool(name)
		}
	}
	if err := k.Load(confmap.Provider(given, "."), nil); err != nil {
		return nil, err
	}
	if err := checkKeys(k.Keys(), known); err != nil {
		return nil, err
	}
	config := defaults()
	err := k.UnmarshalWithConf("", &config, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: &config, ErrorUnused: true, WeaklyTypedInput: false, TagName: "koanf",
		DecodeHook: mapstructure.StringToTimeDurationHookFunc(),
	}})
	if err != nil {
		return nil, plainly(withoutValues(err))
	}
	return &config, nil
}

// plainly is an error of the decoder in the words of a configuration.
func plainly(err error) error {
	var list []error
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		if m := mistyped.FindStringSubmatch(line); m != nil {
			line = fmt.Sprintf("%s: want %s, not %s", m[1], cmp.Or(wanted[m[2]], m[2]), cmp.Or(wanted[m[3]], m[3]))
		} else if m := noTime.FindStringSubmatch(line); m != nil {
			line = fmt.Sprintf("%s: want %s", m[1], wanted["time.Duration"])
		}
		if line != "" && !strings.HasPrefix(line, "decoding failed due to") {
			list = append(list, fmt.Errorf("config: %s", line))
		}
	}
	return errors.Join(list...)
}

var (
	mistyped = regexp.MustCompile(`^'([^']+)' expected type '([^']+)', got unconvertible type '([^']+)'$`)
	noTime   = regexp.MustCompile(`^'([^']+)' time: `)
	wanted   = map[string]string{"int": "a whole number", "int64": "a whole number (sizes are in bytes)", "string": "a text", "bool": "true or false",
		"float64": "a number with a fraction", "time.Duration": "a time such as 30s"}
)

// withoutValues is an error of the decoder without the values that it could not use: one may be a secret in a wrong place.
func withoutValues(err error) error {
	return errors.New(value.ReplaceAllString(err.Error(), ""))
}

var value = regexp.MustCompile(`(?s), value: '.*?'(\n|$)`)

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if info.Size() > maxConfig {
		return nil, fmt.Errorf("config %s: %d bytes, at most %d are read", name, info.Size(), maxConfig)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return text, nil
}

// text is an environment variable's value with the type that its key has.
func text(key, value string) any {
	var v any
	k := koanf.New(".")
	if k.Load(rawbytes.Provider([]byte("v: "+value)), yaml.Parser()) == nil {
		v = k.Get("v")
	}
	field := fieldOf(reflect.TypeFor[Config](), key)
	if field == nil || field.Kind() == reflect.String || v == nil {
		return value
	}
	if field.Kind() == reflect.Slice {
		return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
	}
	return v
}

// keys lists every key of a configuration.
func keys(t reflect.Type, prefix string) (list []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key := prefix + f.Tag.Get("koanf")
		if f.Type.Kind() == reflect.Struct {
			list = append(list, keys(f.Type, key+".")...)
			continue
		}
		list = append(list, key)
	}
	return list
}

func fieldOf(t reflect.Type, key string) reflect.Type {
	head, rest, nested := strings.Cut(key, ".")
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("koanf") == head {
			if nested {
				return fieldOf(f.Type, rest)
			}
			return f.Type
		}
	}
	return nil
}

// checkKeys names every unknown key and the known one that is nearest to it.
func checkKeys(given, known []string) error {
	var errs []error
	for _, key := range given {
		if slices.Contains(known, key) {
			continue
		}
		nearest, best := "", 1<<30
		for _, k := range withGroups(known) {
			if d := distance(strings.ToLower(key), strings.ToLower(k)); d < best {
				nearest, best = k, d
			}
		}
		errs = append(errs, fmt.Errorf("config: unknown key %q; did you mean %q?", key, nearest))
	}
	return errors.Join(errs...)
}

// withGroups is the known keys and the groups that they are in: a group's name is misspelt as easily.
func withGroups(known []string) []string {
	all := slices.Clone(known)
	for _, k := range known {
		if group, _, ok := strings.Cut(k, "."); ok && !slices.Contains(all, group) {
			all = append(all, group)
		}
	}
	return all
}

// distance is the number of letters to change, add or remove to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
