package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/protofly/protofly/internal/gobuild"
)

// Domain is the domain of a bed's Message Node and runtimes.
const Domain = "example.com"

// Bed is a Message Node and the runtimes that use it.
type Bed struct {
	Dir     string            // the folder with all files of the bed
	Node    string            // the URL of the Message Node
	Plugins string            // the folder of the installed plug-ins
	Sockets map[string]string // the socket of each runtime's application API, by the runtime's name

	processes []*Process
}

// Options are the settings of a bed.
type Options struct {
	Runtimes  []string // the names of its runtimes
	Transport string   // the program of a P2P plug-in for them; "": quic
}

// Open compiles the programs, and starts a Message Node and the runtimes. If that fails nothing is left.
func Open(ctx context.Context, o Options) (*Bed, error) {
	dir, err := os.MkdirTemp("", "pf-") // short, since a socket's path has about 100 bytes
	if err != nil {
		return nil, err
	}
	opened := &Bed{Dir: dir, Plugins: filepath.Join(dir, "plugins"), Sockets: map[string]string{}}
	if err := opened.fill(ctx, o); err != nil {
		opened.Close()
		return nil, err
	}
	return opened, nil
}

func (b *Bed) fill(ctx context.Context, o Options) error {
	programs := []string{"cmd/runtime", "cmd/msgnode", "plugins/msgnode-ws"}
	if o.Transport == "" {
		programs, o.Transport = append(programs, "plugins/quic"), b.Program("plugins/quic")
	}
	if err := gobuild.Programs(ctx, filepath.Join(b.Dir, "bin"), programs...); err != nil {
		return err
	}
	if _, err := b.Command(ctx, "plugins", "install", "--plugins", b.Plugins, b.Program("plugins/msgnode-ws"), o.Transport); err != nil {
		return err
	}
	line, err := b.start(ctx, "node", b.Program("cmd/msgnode"), "run", "--domain", Domain, "--listen", "127.0.0.1:0", "--data", filepath.Join(b.Dir, "node"))
	if err != nil {
		return err
	}
	if _, err := fmt.Sscanf(line, "listening on %s", &b.Node); err != nil {
		return fmt.Errorf("the Message Node said %q: %w", line, err)
	}
	for _, name := range o.Runtimes {
		if err := b.runtime(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bed) runtime(ctx context.Context, name string) error {
	base := filepath.Join(b.Dir, name)
	b.Sockets[name] = base + ".sock"
	config := fmt.Sprintf("domain: %s\nnode: %s\ndata: %s\nplugins: {dir: %s}\napi: {socket: %s}\n", Domain, b.Node, base, b.Plugins, b.Sockets[name])
	if err := os.WriteFile(base+".yaml", []byte(config), 0o600); err != nil {
		return err
	}
	_, err := b.start(ctx, "runtime "+name, b.Program("cmd/runtime"), "run", "--config", base+".yaml")
	return err
}

// Command runs a command of the runtime's program, as an operator does, and returns what it printed.
func (b *Bed) Command(ctx context.Context, words ...string) (string, error) {
	out, err := exec.CommandContext(ctx, b.Program("cmd/runtime"), words...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("protofly %s: %w\n%s", strings.Join(words, " "), err, out)
	}
	return string(out), nil
}

// Program returns the path of a compiled program of the bed, by its package in this project.
func (b *Bed) Program(pkg string) string { return filepath.Join(b.Dir, "bin", gobuild.Name(pkg)) }

func (b *Bed) start(ctx context.Context, name string, args ...string) (line string, err error) {
	p, err := Command{Name: name, Log: filepath.Join(b.Dir, filepath.Base(name)+".log"), Args: args}.Start(ctx)
	if err != nil {
		return "", err
	}
	b.processes = append(b.processes, p)
	return p.Line, nil
}

// Logs returns the end of each process's log.
func (b *Bed) Logs() string {
	all := ""
	for _, p := range b.processes {
		all += p.name + ":\n" + p.Tail()
	}
	return all
}

// Close ends the runtimes, then the node, and removes the folder.
func (b *Bed) Close() {
	var ending sync.WaitGroup // all at once, since each waits a moment for the others' last acknowledgements
	for i, p := range b.processes {
		if i > 0 {
			ending.Go(p.Stop)
		}
	}
	ending.Wait()
	if len(b.processes) > 0 {
		b.processes[0].Stop()
	}
	_ = os.RemoveAll(b.Dir)
}
