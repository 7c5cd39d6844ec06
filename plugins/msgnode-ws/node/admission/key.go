package admission

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// KeyFile is the file of the key that tokens are signed with.
type KeyFile struct {
	Name string
	Make bool // make the file if it does not exist
}

const maxKeyFile = 4 << 10

// read gives the key in the file: an ed25519.PrivateKey or an ed25519.PublicKey.
func (f KeyFile) read() (any, error) {
	if f.Name == "" {
		return nil, errors.New("key: tokens need the file of a key (admit.key), or a data folder to make one in")
	}
	if f.Make {
		if err := f.create(); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(f.Name)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if info.Size() > maxKeyFile {
		return nil, fmt.Errorf("key: %s has %d bytes: that is no key", f.Name, info.Size())
	}
	text, err := os.ReadFile(f.Name)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("key: %s is not in PEM form", f.Name)
	}
	var key any
	if block.Type == "PUBLIC KEY" {
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	} else if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil && exposed(info) {
		return nil, fmt.Errorf("key: %s may be read by others (mode %v): chmod 600 it, or replace it where others may have read it", f.Name, info.Mode().Perm())
	}
	if err != nil {
		return nil, fmt.Errorf("key: %s: %w", f.Name, err)
	}
	return key, nil
}

// Private is the key to sign with.
func (f KeyFile) Private() (ed25519.PrivateKey, error) {
	key, err := f.read()
	if err != nil {
		return nil, err
	}
	if k, ok := key.(ed25519.PrivateKey); ok {
		return k, nil
	}
	return nil, fmt.Errorf("key: %s has no Ed25519 private key: tokens are made where that is", f.Name)
}

// Public is the key to check signatures with.
func (f KeyFile) Public() (ed25519.PublicKey, error) {
	key, err := f.read()
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case ed25519.PublicKey:
		return k, nil
	case ed25519.PrivateKey:
		return k.Public().(ed25519.PublicKey), nil
	}
	return nil, fmt.Errorf("key: %s has no Ed25519 key", f.Name)
}

// create makes the file with a new key, unless it exists. If several processes do so at the same time, all get the same key.
func (f KeyFile) create() error {
	if _, err := os.Stat(f.Name); !errors.Is(err, fs.ErrNotExist) {
		return nil // read says what is wrong with it
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	folder := filepath.Dir(f.Name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	t, err := os.CreateTemp(folder, ".admission-key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	defer os.Remove(t.Name())
	_, err = t.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err = errors.Join(err, t.Sync(), t.Close()); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if err := os.Link(t.Name(), f.Name); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("key: %w", err)
	}
	return nil
}
