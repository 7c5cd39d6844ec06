package safefile

import "errors"

// ErrExposed is the error of a file or folder that other users could have changed, or of a secret file that they could have read.
var ErrExposed = errors.New("exposed to others")
