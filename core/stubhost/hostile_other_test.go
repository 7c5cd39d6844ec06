//go:build unix && !linux

package stubhost_test

import "errors"

func attack(string) []string { return nil }

func needs(string) []string { return nil }

func special([]string) bool { return false }

func beDaemon() {}

func leaveOrphan(string) (int, error) { return 0, errors.New("not here") }

func beHydra() {}
