package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/protofly/protofly/sdk/message"
	"github.com/protofly/protofly/sdk/proof"
)

// KeyFile is the name of the key's file in the data folder.
const KeyFile = "runtime.key"

const pemType = "PROTOFLY ED25519 SEED"

// Identity is a runtime's key and URL. It is immutable.
type Identity struct {
	key ed25519.PrivateKey
	url message.URL
}

// Open reads the key in the folder dir, which it makes (0700) with a new key (0600) where there is none. domain is the
// runtime's domain. A key that others may read, or that cannot be read, is an error that says what to do.
func Open(dir, domain string) (*Identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	path := filepath.Join(dir, KeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("new runtime key %s: %w", path, err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("runtime key: %w", err)
	}
	if err := private(path); err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != pemType || len(block.Bytes) != ed25519.SeedSize {
		return nil, fmt.Errorf("runtime key %s is damaged: restore it from a backup, or remove it to get a new key and with it a new runtime URL", path)
	}
	return New(ed25519.NewKeyFromSeed(block.Bytes), domain)
}

// create writes a new key to path; where somebody else was quicker theirs stays.
func create(path string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), KeyFile+".*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	err = pem.Encode(f, &pem.Block{Type: pemType, Bytes: key.Seed()})
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return os.Rename(f.Name(), path) // a file system without links
	}
	return nil
}

// New is the identity of a key at a domain.
func New(key ed25519.PrivateKey, domain string) (*Identity, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("runtime key: not an Ed25519 key")
	}
	url, err := message.ParseURL(message.SchemeRuntime + "://" + domain + "/" + proof.RuntimeID(public))
	if err != nil {
		return nil, fmt.Errorf("domain %q: %w", domain, err)
	}
	return &Identity{key: key, url: url}, nil
}

// URL is the runtime's URL.
func (i *Identity) URL() message.URL { return i.url }

// PublicKey is the public half of the key.
func (i *Identity) PublicKey() ed25519.PublicKey { return i.key.Public().(ed25519.PublicKey) }
