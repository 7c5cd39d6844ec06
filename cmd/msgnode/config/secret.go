package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
)

// maxSecret is the largest file of a secret, in bytes.
const maxSecret = 4 << 10

// secretOf reads the secret that the nodes of a domain share, nil where no file is given. Errors never show what is in it.
func secretOf(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("nats_key_file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("nats_key_file: %w", err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o027 != 0 { // where the mode has no meaning
		return nil, fmt.Errorf("nats_key_file %s: its mode is %04o, and only its owner and group may read it: chmod 600 %s", name, mode, name)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("nats_key_file: %w", err)
	}
	if len(text) > maxSecret {
		return nil, fmt.Errorf("nats_key_file %s: more than %d bytes", name, maxSecret)
	}
	return bytes.TrimSpace(text), nil
}
