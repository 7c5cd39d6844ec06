package config

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/stubhost/sandbox"
	"github.com/protofly/protofly/internal/busypoll"
	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/networks"
)

// check looks at what the values mean. What has to be looked up on the machine is not checked here.
// missing is why keys have no default.
func (l *Loaded) check(missing map[string]error) error {
	var errs []error
	fail := func(key, format string, args ...any) {
		where := l.Origin[key]
		if where == "" || where == "default" {
			where = "config"
		}
		errs = append(errs, fmt.Errorf("%s: %s: %s", where, key, fmt.Sprintf(format, args...)))
	}
	if l.Domain == "" {
		fail("domain", "it is required: the domain of this runtime, as in hyperty://example.com/…")
	} else if err := checkDomain(l.Domain); err != nil {
		fail("domain", "%v", err)
	}
	if l.Node != "" {
		if err := checkNode(l.Node); err != nil {
			fail("node", "%v", err)
		}
		if _, twice := l.Nodes[l.Domain]; twice {
			fail("nodes."+l.Domain, "the own domain's Message Node is given twice: keep node, or this")
		}
	}
	for domain, node := range l.Nodes {
		if err := checkDomain(domain); err != nil {
			fail("nodes."+domain, "%v", err)
		}
		if err := checkNode(node); err != nil {
			fail("nodes."+domain, "%v", err)
		}
	}
	word := func(key, value string, words []string) {
		if !slices.Contains(words, value) {
			fail(key, "want %s, not %q", strings.Join(words, ", "), value)
		}
	}
	if _, err := l.Poll(); err != nil {
		fail("plugins.poll", "%v", err)
	}
	if _, err := networks.Parse(l.Catalogue.Networks); err != nil {
		fail("catalogue.networks", "%v", err)
	}
	word("plugins.sandbox", l.Plugins.Sandbox, sandbox.Modes())
	if _, err := l.PluginUIDs(); err != nil {
		fail("plugins.uids", "%v", err)
	}
	for name, paths := range l.Plugins.Paths {
		for _, path := range paths {
			if err := checkPluginPath(path, l.Data); err != nil {
				fail("plugins.paths."+name, "%v", err)
			}
		}
	}
	if _, err := l.SessionIdle(); err != nil {
		fail("sessions.idle", "%v", err)
	}
	word("p2p.policy", l.P2P.Policy, policies)
	word("log.level", l.Log.Level, levels)
	word("log.format", l.Log.Format, formats)
	word("trust.mode", l.Trust.Mode, identity.Modes())
	if _, err := l.Trusted(); err != nil && slices.Contains(identity.Modes(), l.Trust.Mode) {
		fail("trust", "%v", err)
	}
	names := func(key string, list []string) {
		for i, name := range list {
			if err := checkPluginName(name); err != nil {
				fail(key, "%v", err)
			} else if slices.Contains(list[:i], name) {
				fail(key, "%s is there twice", name)
			}
		}
	}
	names("plugins.use", l.Plugins.Use)
	names("p2p.prefer", l.P2P.Prefer)
	names("plugins.node", []string{l.Plugins.Node})
	if !l.UseAll {
		for _, name := range l.P2P.Prefer {
			if !slices.Contains(l.Plugins.Use, name) {
				fail("p2p.prefer", "%s is not in plugins.use", name)
			}
		}
		for name := range l.Stubs {
			if name != l.Plugins.Node && !slices.Contains(l.Plugins.Use, name) {
				fail("stubs."+name, "no plug-in of that name is used: it is neither in plugins.use nor plugins.node")
			}
		}
	}
	for key, value := range map[string]string{"data": l.Data, "api.socket": l.API.Socket} {
		switch {
		case value == "" && missing[key] != nil && l.Origin[key] == "default":
			errs = append(errs, missing[key])
		case value == "":
			fail(key, "it is empty")
		}
	}
	if _, err := l.StubConfig(); err != nil {
		errs = append(errs, err)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
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

// Poll is plugins.poll as the core wants it.
func (l *Loaded) Poll() (time.Duration, error) {
	d, err := busypoll.Parse(l.Plugins.Poll)
	if err == nil && d == 0 {
		d = -1
	}
	return d, err
}

// The user IDs that the range of plugins.uids may have: none that systems give to people and services in earnest.
const (
	leastUID = 1 << 16
	mostUID  = math.MaxUint32 - sandbox.UIDs
)

// PluginUIDs is plugins.uids as the core wants it.
func (l *Loaded) PluginUIDs() (sandbox.Users, error) {
	switch text := fmt.Sprint(l.Plugins.UIDs); text {
	case "auto":
		return sandbox.Users{Mode: sandbox.Auto}, nil
	case "on":
		return sandbox.Users{Mode: sandbox.Required}, nil
	case "off", "0":
		return sandbox.Users{Mode: sandbox.Off}, nil
	default:
		first, err := strconv.ParseUint(text, 10, 32)
		if err != nil || first < leastUID || first > mostUID {
			return sandbox.Users{}, fmt.Errorf("want auto, on, off, or the first of %d user IDs that nobody else has, from %d to %d", sandbox.UIDs, leastUID, uint64(mostUID))
		}
		return sandbox.Users{Mode: sandbox.Auto, First: uint32(first)}, nil
	}
}

// minIdle is the least time that sessions.idle may be.
const minIdle = time.Minute

// SessionIdle is sessions.idle as the core wants it.
func (l *Loaded) SessionIdle() (time.Duration, error) {
	d, err := time.ParseDuration(l.Sessions.Idle)
	switch {
	case err != nil || d != 0 && d < minIdle:
		return 0, fmt.Errorf("want a duration of at least %v, such as 24h, or 0s: never, not %q", minIdle, l.Sessions.Idle)
	case d == 0:
		return -1, nil
	}
	return d, nil
}
