//go:build !unix

package safefile

import (
	"io/fs"
	"os"
)

// Where files have no mode bits, the user's profile folder protects them.

func open(path string) (*os.File, error) { return os.Open(path) }

func checkFile(string, fs.FileInfo, bool) error { return nil }

// CheckFolder fails where another user could put a file into the folder; here the system does not tell, and it never fails.
func CheckFolder(string) (warnings []string, err error) { return nil, nil }

// CheckPlace is CheckFolder for a folder that several users share.
func CheckPlace(string) (warnings []string, err error) { return nil, nil }

// SyncFolder does nothing: here folders cannot be synced, and the system keeps their names by itself.
func SyncFolder(string) error { return nil }
