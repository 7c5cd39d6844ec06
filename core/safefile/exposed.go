package safefile

import "errors"

// ErrExposed is the error of a file or folder that others could have changed, or read where it is a secret.
var ErrExposed = errors.New("exposed to others")
