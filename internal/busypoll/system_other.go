//go:build !linux

package busypoll

const canYield = false

func yield() {}

type descriptor struct{}

func watch(uintptr) descriptor { return descriptor{} }

func ready([]descriptor) bool { return false }
