package node

import (
	"fmt"
	"os"

	"github.com/protofly/protofly/internal/folderlock"
)

// lockFolder makes the data folder, if it does not exist, and locks it for this node: two embedded servers would destroy each
// other's files.
func lockFolder(folder string) (release func(), err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("message node: data folder: %w", err)
	}
	l, err := folderlock.Take(folder, "node")
	if err != nil {
		return nil, fmt.Errorf("message node: %w", err)
	}
	return func() { _ = l.Close() }, nil
}
