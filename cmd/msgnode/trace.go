package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/protofly/protofly/plugins/msgnode-ws/node"
)

// traceFile writes the node's events as JSON lines. Each is in the file when its event is over, so that a reader may
// follow it.
type traceFile struct {
	mu   sync.Mutex
	file *os.File
	err  error // the first error of a write
}

func openTrace(name string) (*traceFile, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return &traceFile{file: f}, nil
}

func (t *traceFile) event(e node.Event) {
	line, err := json.Marshal(e)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		_, err = t.file.Write(append(line, '\n'))
	}
	if t.err == nil && err != nil {
		t.err = fmt.Errorf("trace: %w", err)
	}
}

func (t *traceFile) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.err, t.file.Close())
}
