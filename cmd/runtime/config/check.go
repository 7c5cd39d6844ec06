package config

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/protofly/protofly/internal/networks"
	"github.com/protofly/protofly/sdk/message"
)

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

// checkPluginPath checks a path that a plug-in may read: it must not contain the runtime's key.
func checkPluginPath(path, data string) error {
	if !filepath.IsAbs(path) || strings.ContainsRune(path, filepath.ListSeparator) {
		return fmt.Errorf("%q is no whole path of a file or folder", path)
	}
	if rel, err := filepath.Rel(filepath.Clean(path), data); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return fmt.Errorf("%s is, or has in it, the runtime's own folder (data), where its key is", path)
	}
	return nil
}

// text is a check of a text that may be empty.
func text(check func(string) error) func(any) error {
	return func(value any) error {
		if s, _ := value.(string); s != "" {
			return check(s)
		}
		return nil
	}
}

// pluginNames checks a list of plug-ins.
func pluginNames(value any) error {
	list, _ := value.([]string)
	for i, name := range list {
		if err := checkPluginName(name); err != nil {
			return err
		}
		if slices.Contains(list[:i], name) {
			return fmt.Errorf("%s is there twice", name)
		}
	}
	return nil
}

func checkNetworks(value any) error {
	list, _ := value.([]string)
	_, err := networks.Parse(list)
	return err
}

func checkUIDs(text string) error {
	_, err := parseUIDs(text)
	return err
}
