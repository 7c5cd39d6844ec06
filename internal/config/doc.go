// Package config reads the configuration of a program by a [Schema]: defaults, then the file, then the environment, then
// flags; the later wins. The schema has each key's type, default, unit, range and a sentence on what it means. The checks, the
// output of "config show" and "config init", and the reference page are made from it.
//
// The dialect is the same for every program and plug-in. Keys are in snake_case. The file is YAML, at most 1 MiB of UTF-8
// text. Types are strict: a number is not a text, "yes" is not a truth value. A duration is written as 10s, a size as 4MiB
// or as a number of bytes. A relative path is relative to the file's folder, in a variable or a flag to the current one; "~/"
// is the home folder. An unknown key is an error, which says where the key is and names the most similar known key.
// All mistakes in all sources are reported at once.
//
// A variable's name is the program's prefix and the key in capitals, with two underscores between the levels:
// PROTOFLY_P2P__POLICY is p2p.policy. The items of a list are separated by commas, or written as [a, b]; [] is the empty list.
// An empty variable counts as not set.
//
// A key that was renamed is accepted by its old name for one version, with a warning that has the new one ([Key.Was]).
// Both names in one place are an error.
package config
