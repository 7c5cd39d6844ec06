package deployer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/stubhost"
)

// plugin returns an installed plug-in in the form that the host needs, with the files that it may read.
func (c *Config) plugin(entry catalogue.Descriptor) stubhost.Plugin {
	config, secret := c.StubConfig[entry.Name], c.DataDir
	paths := slices.Concat(c.PluginPaths[entry.Name], named(config, func(path string) bool { return isFileOutside(path, secret) }))
	join := func(list []string) string { return strings.Join(list, string(filepath.ListSeparator)) }
	return stubhost.Plugin{Name: entry.Name, Path: entry.Path, SHA256: entry.SHA256, Paths: join(paths), Named: join(named(config, isThere))}
}

// maxNamed bounds how many files a configuration can name.
const maxNamed = 64

// named returns the absolute paths in a plug-in's configuration, such as the path of a certificate, for which wanted is true.
//
// The operator names a file in the configuration so that the plug-in reads it. So the plug-in may read these files, unless they
// are in the runtime's data folder. It may not read folders that are named, because a text such as "/" may mean something else.
func named(config json.RawMessage, wanted func(path string) bool) (paths []string) {
	var all any
	if json.Unmarshal(config, &all) != nil {
		return nil
	}
	var look func(v any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, below := range v {
				look(below)
			}
		case []any:
			for _, below := range v {
				look(below)
			}
		case string:
			if len(paths) < maxNamed && filepath.IsAbs(v) && wanted(v) {
				paths = append(paths, v)
			}
		}
	}
	look(all)
	slices.Sort(paths)
	return paths
}

// isThere tells whether there is a file or folder at path. It is false for the root folder.
func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil && filepath.Clean(path) != string(filepath.Separator)
}

// isFileOutside tells whether there is a regular file at path that is not in dir.
func isFileOutside(path, dir string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false
	}
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	rel, err := filepath.Rel(dir, real)
	if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return false
	}
	info, err := os.Stat(real)
	return err == nil && info.Mode().IsRegular()
}
