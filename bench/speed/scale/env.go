package scale

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/protofly/protofly/bench/rig"
	"github.com/protofly/protofly/bench/speed/figures"
	"github.com/protofly/protofly/bench/speed/load"
)

// Plugins lists the plug-ins that have to be installed in Env.Bin.
func Plugins() []string { return []string{rig.NodePlugin, "quic", "webrtc"} }

// Env is the environment of the measurements. Bin and Dir are required.
type Env struct {
	Bin   rig.Binaries
	Dir   string                           // for files; short, for Unix sockets are in it
	Quick bool                             // fewer of everything
	Rest  time.Duration                    // how long processes are idle before their usage is measured; 0: 20 s, quick 2 s
	Say   func(format string, args ...any) // prints progress, a line at a time; nil: none is printed

	Sizes Sizes // 0: the default
}

// Sizes is how many of everything there are.
type Sizes struct {
	Peers        int // of one runtime; 1,000, quick 100
	Connections  int // of one Message Node; 10,000, quick 1,000
	Observers    int // of one publication; 1,000, quick 100
	Publications int // 100, quick 20
	Pairs        int // of runtimes that connect; 20, quick 3
}

func (e *Env) defaults() {
	full, quick := Sizes{1000, 10000, 1000, 100, 20}, Sizes{100, 1000, 100, 20, 3}
	d := full
	if e.Quick {
		d = quick
	}
	s := &e.Sizes
	*s = Sizes{cmp.Or(s.Peers, d.Peers), cmp.Or(s.Connections, d.Connections), cmp.Or(s.Observers, d.Observers),
		cmp.Or(s.Publications, d.Publications), cmp.Or(s.Pairs, d.Pairs)}
	if e.Say == nil {
		e.Say = func(string, ...any) {}
	}
}

// Group is a group of rows that are measured together.
type Group struct {
	Name    string
	Alone   bool // it measures times, so that no other group may run
	Measure func(ctx context.Context, e Env) ([]figures.Row, error)
}

// Groups returns all groups, in the best order for measuring. Each has folders, processes and a Message Node of its own,
// so that some may be measured in parallel.
func Groups() []Group {
	return []Group{
		{"idle runtime", false, func(ctx context.Context, e Env) ([]figures.Row, error) { return measure(ctx, e, "idle", idle) }},
		{"peers", false, func(ctx context.Context, e Env) ([]figures.Row, error) { return measure(ctx, e, "peers", peers) }},
		{"node connections", false, func(ctx context.Context, e Env) ([]figures.Row, error) { return measure(ctx, e, "conns", connections) }},
		{"fan-out", true, func(ctx context.Context, e Env) ([]figures.Row, error) { return measure(ctx, e, "fan", fanOut) }},
		{"time to live", true, func(ctx context.Context, e Env) ([]figures.Row, error) { return measure(ctx, e, "live", timeToLive) }},
	}
}

// scene has the folder and the Message Node of a group.
type scene struct {
	Env
	house *rig.House
	node  *rig.Node
}

// domain is the domain of all runtimes.
const domain = "scale.example"

// measure makes the scene of a group, measures, and removes the scene.
func measure(ctx context.Context, e Env, name string, group func(context.Context, *scene) ([]figures.Row, error)) (rows []figures.Row, err error) {
	e.defaults()
	dir := filepath.Join(e.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &scene{Env: e, house: &rig.House{Dir: dir, Bin: e.Bin}}
	room := fmt.Sprintf("PROTOFLY_NODE_LIMITS__CONNECTIONS=%d", 2*max(e.Sizes.Connections, e.Sizes.Observers, e.Sizes.Peers))
	if s.node, err = s.house.Node(ctx, rig.NodeOptions{Domain: domain, In: []string{"env", room}}); err != nil {
		return nil, err
	}
	defer s.node.Stop()
	return group(ctx, s)
}

// runtime starts a runtime with one P2P plug-in.
func (s *scene) runtime(ctx context.Context, name, plugin string) (*rig.Runtime, error) {
	return s.house.Runtime(ctx, rig.RuntimeOptions{Name: name, Domain: domain, Nodes: map[string]string{domain: s.node.URL}, Use: []string{plugin}})
}

// crowd starts a crowd.
func (s *scene) crowd(ctx context.Context) (*load.Process, error) {
	text, err := json.Marshal(crowdOptions{Dir: s.house.Dir, Plugins: s.Bin.Plugins, Domain: domain, Node: s.node.URL})
	if err != nil {
		return nil, err
	}
	return load.Start(ctx, "the crowd", CrowdArgument, string(text))
}
