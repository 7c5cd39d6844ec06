//go:build !linux

package sandbox

import "syscall"

// MayBecome says that it cannot be done here.
func MayBecome(uint32, string) error {
	return &UserError{Why: "it is not done on this system"}
}

// Separate fails: see [MayBecome].
func Separate(*syscall.SysProcAttr, User) error { return MayBecome(0, "") }

// Lacks is nothing here.
func Lacks(User, Needs) (lost, missing []Lack, err error) { return nil, nil, nil }
