//go:build !linux

package main

import "os/exec"

// dieWithParent does nothing here: a killed quickstart leaves its children to be ended by hand.
func dieWithParent(*exec.Cmd) {}
