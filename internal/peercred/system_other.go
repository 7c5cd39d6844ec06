//go:build !linux && !darwin && !freebsd

package peercred

func socketUID(int) (int, error) { return 0, ErrUnknown }

func socketPID(int) (int, error) { return 0, ErrUnknown }
