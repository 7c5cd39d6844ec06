package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/internal/config"
)

// Sources is where a configuration comes from.
type Sources = config.Sources

// Loaded is a configuration, with the origin of each key.
type Loaded struct {
	Config
	*config.Values

	inUse []string // the plug-ins whose options are shown
}

// Load reads and checks a configuration. The error joins all mistakes; each names its place. The options of plug-ins are checked
// against the descriptions of the installed ones. Load does not check whether the plug-ins are installed.
func Load(s Sources) (*Loaded, error) {
	installed := installedIn(s)
	v, err := Schema(Options(installed)).Load(s)
	if v == nil {
		return nil, err
	}
	out := &Loaded{Values: v}
	if v.Peek("plugins.dir") == "" {
		v.Set("plugins.dir", filepath.Join(v.Peek("data"), "installed"))
	}
	if e := v.Decode(&out.Config); e != nil {
		return nil, errors.Join(err, e)
	}
	out.UseAll = !v.Given("plugins.use")
	for _, d := range installed {
		if d.Name == out.Plugins.Node || out.UseAll || slices.Contains(out.Plugins.Use, d.Name) {
			out.inUse = append(out.inUse, d.Name)
		}
	}
	return out, errors.Join(err, out.check())
}

// Show is the effective configuration as YAML, with secrets hidden and with the defaults of the options of the plug-ins in use. It
// could be used as a file. origin: each line has a comment that says where its value came from.
func (l *Loaded) Show(origin bool) (string, error) {
	return l.Values.Show(origin, map[string][]string{"stubs": l.inUse})
}

// check checks keys that depend on each other. The schema checks each key by itself.
func (l *Loaded) check() error {
	var errs []error
	if _, twice := l.Nodes[l.Domain]; twice && l.Node != "" {
		errs = append(errs, l.Errorf("nodes."+l.Domain, "the own domain's Message Node is given twice: keep node, or this"))
	}
	for _, name := range slices.Sorted(maps.Keys(l.Plugins.Paths)) {
		for _, path := range l.Plugins.Paths[name] {
			if err := checkPluginPath(path, l.Data); err != nil {
				errs = append(errs, l.Errorf("plugins.paths."+name, "%w", err))
			}
		}
	}
	if _, err := l.Trusted(); err != nil && slices.Contains(identity.Modes(), l.Trust.Mode) {
		for line := range strings.Lines(err.Error()) { // each begins with the key
			key, _, _ := strings.Cut(line, ":")
			errs = append(errs, fmt.Errorf("%s: trust: %s", l.Place("trust."+key), strings.TrimSuffix(line, "\n")))
		}
	}
	errs = append(errs, l.checkNamed())
	if _, err := l.StubConfig(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkNamed checks that the plug-ins that other keys name are in use.
func (l *Loaded) checkNamed() error {
	if l.UseAll { // it depends on what is installed
		return nil
	}
	var errs []error
	for _, name := range l.P2P.Prefer {
		if !slices.Contains(l.Plugins.Use, name) {
			errs = append(errs, l.Errorf("p2p.prefer", "%s is not in plugins.use", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Stubs)) {
		if name != l.Plugins.Node && !slices.Contains(l.Plugins.Use, name) {
			errs = append(errs, l.Errorf("stubs."+name, "no plug-in of that name is used: it is neither in plugins.use nor plugins.node"))
		}
	}
	return errors.Join(errs...)
}
