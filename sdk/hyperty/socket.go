package hyperty

import (
	"fmt"
	"os"
	"path/filepath"
)

// SocketVariable is the environment variable that names the runtime's socket.
const SocketVariable = "PROTOFLY_SOCKET"

// DefaultSocket is where a runtime has its socket, and an application looks for it, unless told otherwise:
// $PROTOFLY_SOCKET, else protofly/api.sock in $XDG_RUNTIME_DIR, else in the user's cache folder.
func DefaultSocket() (string, error) {
	if path := os.Getenv(SocketVariable); path != "" {
		return path, nil
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "protofly", "api.sock"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no default place for the runtime's socket (%w): set %s", err, SocketVariable)
	}
	return filepath.Join(dir, "protofly", "api.sock"), nil
}
