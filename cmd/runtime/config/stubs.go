package config

import (
	"embed"
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/internal/config"
	"github.com/protofly/protofly/internal/printable"
	"github.com/protofly/protofly/sdk"
)

// installedIn is the installed plug-ins that can be read. Faults of the others are reported when they are to be started.
func installedIn(s config.Sources) []sdk.Descriptor {
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
	all := make([]sdk.Descriptor, len(list))
	for i, d := range list {
		all[i] = d.Descriptor
	}
	return all
}

// Options is the keys of the plug-ins that describe their options, by plug-in.
func Options(plugins []sdk.Descriptor) map[string]*config.Key {
	all := map[string]*config.Key{}
	for _, d := range plugins {
		if d.Options != nil {
			all[d.Name] = &config.Key{Name: d.Name, Keys: keysOf(d.Options), About: "Options of the plug-in " + d.Name + ": " + printable.Line(d.About) + "."}
		}
	}
	return all
}

// keysOf is a plug-in's options as keys. The plug-in describes them, so the description may be wrong.
func keysOf(options []sdk.Option) []config.Key {
	types := map[sdk.OptionType]config.Type{sdk.OptionText: config.Text, sdk.OptionPath: config.Path, sdk.OptionBool: config.Bool, sdk.OptionInt: config.Int,
		sdk.OptionSize: config.Size, sdk.OptionDuration: config.Duration, sdk.OptionList: config.List, sdk.OptionGroup: config.Group, sdk.OptionGroups: config.Groups}
	var keys []config.Key
	for _, o := range options {
		kind, known := types[o.Type]
		if !known {
			kind = config.Any
		}
		k := config.Key{Name: o.Name, Type: kind, Default: whole(o.Default), About: printable.Line(o.About), Unit: printable.Line(o.Unit),
			Least: o.Least, Most: o.Most, Was: o.Was, Secret: o.Secret || (kind == config.Text || kind == config.List) && config.LooksSecret(o.Name)}
		for _, word := range o.Values {
			k.Words = append(k.Words, printable.Line(word))
		}
		switch kind {
		case config.Group:
			k.Keys, k.Default = keysOf(o.Options), nil
		case config.Groups:
			k.Keys = keysOf(o.Options)
		}
		if k.Default != nil && !k.Takes(k.Default) {
			k.Default = nil
		}
		keys = append(keys, k)
	}
	return keys
}

// whole is a value of JSON as a YAML file would have it: with integers where numbers have no fraction.
func whole(v any) any {
	if f, ok := v.(float64); ok && f == float64(int64(f)) {
		return int64(f)
	}
	return v
}

//go:embed bundled/*.json
var bundled embed.FS

// Bundled is the schema with the options of the plug-ins that come with the runtime, and of those that are installed. The
// descriptions of the bundled ones are in the folder bundled; go generate ./cmd/configdoc writes them.
func Bundled(s config.Sources) *config.Schema {
	var all []sdk.Descriptor
	files, _ := bundled.ReadDir("bundled")
	for _, f := range files {
		text, err := bundled.ReadFile("bundled/" + f.Name())
		d := sdk.Descriptor{Name: strings.TrimSuffix(f.Name(), ".json")}
		if err == nil && json.Unmarshal(text, &d) == nil {
			all = append(all, d)
		}
	}
	return Schema(Options(append(all, installedIn(s)...)))
}
