//go:build !unix

package safefile

import (
	"io/fs"
	"os"
)

// What protects files where they have no mode bits is the user profile that they are in.

func open(path string) (*os.File, error) { return os.Open(path) }

func checkFile(string, fs.FileInfo, bool) error { return nil }

// CheckFolder says whether anybody else could put something into a folder; here the system does not tell.
func CheckFolder(string) (warnings []string, err error) { return nil, nil }

// CheckPlace is CheckFolder for what holds one's own beside others'.
func CheckPlace(string) (warnings []string, err error) { return nil, nil }

// SyncFolder does nothing where folders cannot be synced: the system keeps them by itself.
func SyncFolder(string) error { return nil }
