package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/protofly/protofly/core/safefile"
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

// keyKind is the kind of the key's file, for package safefile; keySize is its greatest size, in bytes.
const (
	keyKind = "runtime-key"
	keySize = 64 << 10
)

// Open reads the key in the folder dir. Where there is none it makes the folder (mode 0700) and a new key (mode 0600). domain is
// the runtime's domain. It fails where others could have changed the folder or the key, where others may read the key, and where
// the key is damaged; the error says what to do.
func Open(dir, domain string) (*Identity, error) {
	if err := safefile.MakeFolder(dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if _, err := safefile.CheckFolder(dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	path := filepath.Join(dir, KeyFile)
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) { // fs.ErrExist: another process was quicker, and its key stays
			return nil, fmt.Errorf("new runtime key %s: %w", path, err)
		}
		key, err = readKey(path)
	}
	if err != nil {
		return nil, err
	}
	if err := safefile.Renew(path, keyKind, key.payload, key.sealed); err != nil {
		return nil, fmt.Errorf("runtime key: %w", err)
	}
	return New(ed25519.NewKeyFromSeed(key.seed), domain)
}

// keyText is the content of the key's file.
type keyText struct {
	seed    []byte
	payload []byte // from which the key was read
	sealed  bool   // with a checksum
}

// readKey reads the key's file.
func readKey(path string) (key keyText, err error) {
	text, err := safefile.Read(path, keySize, true)
	damaged := func(why error) error {
		return fmt.Errorf("runtime key %s: %w; restore it from a backup, or remove it to get a new key and with it a new runtime URL", path, why)
	}
	switch {
	case errors.Is(err, safefile.ErrExposed):
		return key, fmt.Errorf("runtime key: %w; else remove it to get a new key", err)
	case errors.Is(err, safefile.ErrDamaged):
		return key, damaged(err)
	case err != nil:
		return key, fmt.Errorf("runtime key: %w", err)
	}
	key.payload, key.sealed, err = safefile.Unseal(keyKind, text)
	if err != nil {
		return key, damaged(err)
	}
	block, _ := pem.Decode(key.payload)
	if block == nil || block.Type != pemType || len(block.Bytes) != ed25519.SeedSize {
		return key, damaged(fmt.Errorf("%w: it holds no key", safefile.ErrDamaged))
	}
	key.seed = block.Bytes
	return key, nil
}

// create writes a new key to path. The error is [fs.ErrExist] where another process was quicker.
func create(path string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	return safefile.Create(path, safefile.Seal(keyKind, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: key.Seed()})))
}

// New makes the identity of a key at a domain.
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
