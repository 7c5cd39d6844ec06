//go:build !linux

package sandbox

import "syscall"

// MayBecome returns a [*UserError]: dedicated users exist only on Linux.
func MayBecome(uint32, string) error {
	return &UserError{Why: "it is not done on this system"}
}

// Separate returns the error of [MayBecome].
func Separate(*syscall.SysProcAttr, User) error { return MayBecome(0, "") }

// Lacks returns nothing on this system.
func Lacks(User, Needs) (lost, missing []Lack, err error) { return nil, nil, nil }
