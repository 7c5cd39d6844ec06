package peercred

// socketPID: the system tells the user alone.
func socketPID(int) (int, error) { return 0, ErrUnknown }
