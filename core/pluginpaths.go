package core

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/stubhost"
)

// plugin is an installed plug-in as the host runs it, with what it may read.
func (rt *Runtime) plugin(entry catalogue.Descriptor) stubhost.Plugin {
	paths := slices.Concat(rt.config.PluginPaths[entry.Name], filesNamed(rt.config.StubConfig[entry.Name], rt.config.DataDir))
	return stubhost.Plugin{Name: entry.Name, Path: entry.Path, SHA256: entry.SHA256,
		Paths: strings.Join(paths, string(filepath.ListSeparator))}
}

// maxNamed bounds how many files a configuration can name.
const maxNamed = 64

// filesNamed is every file that a plug-in's configuration names by its whole path, as one with certificates: the
// operator wants the plug-in to read it. Folders are none, since a text such as "/" may mean something else; and nothing
// in the folder secret is one.
func filesNamed(config json.RawMessage, secret string) (files []string) {
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
			if len(files) < maxNamed && filepath.IsAbs(v) && isFileOutside(v, secret) {
				files = append(files, v)
			}
		}
	}
	look(all)
	slices.Sort(files)
	return files
}

// isFileOutside tells whether a regular file is at path, and not in dir.
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
