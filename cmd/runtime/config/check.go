package config

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/sdk/message"
)

// check looks at what keys mean together. What each takes by itself is in the schema.
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
		errs = append(errs, l.Errorf("trust", "%w", err))
	}
	errs = append(errs, l.checkNamed())
	if _, err := l.StubConfig(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// checkNamed looks whether the plug-ins that other keys name are used.
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

func checkDomain(domain string) error {
	_, err := message.ParseURL("hyperty://" + domain + "/x")
	if err != nil || strings.ContainsAny(domain, "/@") || strings.ToLower(domain) != domain {
		return fmt.Errorf("%q is no domain: want a host name in small letters, as example.com or 127.0.0.1:9000", domain)
	}
	return nil
}

func checkNode(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("not a URL: %w", errors.Unwrap(err))
	case u.Scheme != "ws" && u.Scheme != "wss":
		return fmt.Errorf("a Message Node's URL begins with wss:// or ws://, as wss://node.example.com/protofly, not with %q", u.Scheme)
	case u.Hostname() == "":
		return errors.New("the URL names no host")
	case u.Fragment != "":
		return errors.New("the URL has a fragment (#…)")
	}
	return nil
}

func checkPluginName(name string) error {
	for i := 0; i < len(name); i++ {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%q is no plug-in's name: small letters, digits and hyphens only", name)
		}
	}
	if name == "" || len(name) > 64 {
		return fmt.Errorf("%q is no plug-in's name: it has 1 to 64 characters", name[:min(len(name), 64)])
	}
	return nil
}

// checkPluginPath checks what a plug-in may read: not what the runtime's key is in.
func checkPluginPath(path, data string) error {
	if !filepath.IsAbs(path) || strings.ContainsRune(path, filepath.ListSeparator) {
		return fmt.Errorf("%q is no whole path of a file or folder", path)
	}
	if rel, err := filepath.Rel(filepath.Clean(path), data); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("%s is, or has in it, the runtime's own folder (data), where its key is", path)
	}
	return nil
}

// The user IDs that the range of plugins.uids may have: none that systems give to people and services in earnest.
const (
	leastUID = 1 << 16
	mostUID  = math.MaxUint32 - sandbox.UIDs
)

func checkUIDs(text string) error {
	_, err := (&Config{Plugins: Plugins{UIDs: text}}).PluginUIDs()
	return err
}
