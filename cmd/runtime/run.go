package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/protofly/protofly/cmd/runtime/config"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/internal/gcpace"
	"github.com/protofly/protofly/internal/logs"
)

// stopTime is how long a runtime may take to end in good order.
const stopTime = 15 * time.Second

func (c *cli) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [--config FILE]",
		Short: "Run a runtime until SIGINT or SIGTERM",
		Long: "Run a runtime until SIGINT or SIGTERM. Flags override environment variables (PROTOFLY_…), and these override\n" +
			"the configuration file. The smallest file has one line: domain: example.com",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := c.read(cmd)
			if err != nil {
				return err
			}
			return c.run(cmd.Context(), l)
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

func (c *cli) run(ctx context.Context, l *config.Loaded) (err error) {
	if err := ready(l); err != nil {
		return usageError{err}
	}
	log := logs.New(logs.Options{
		Name: "protofly", Output: c.err, Level: hclog.LevelFromString(l.Log.Level), JSON: l.Log.Format == "json",
	})
	for _, warning := range l.Warnings {
		log.Warn("the configuration has an old spelling", "where", warning)
	}
	var t trace.Func
	if l.Trace != "" {
		f, err := openTrace(l.Trace)
		if err != nil {
			return usageError{err}
		}
		defer func() {
			if e := f.close(); err == nil && e != nil {
				err = e
			}
		}()
		t = f.write
	}
	rt, err := c.start(ctx, l, log, t)
	if err != nil {
		return err
	}
	resting, stopResting := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { gcpace.Run(resting, gcpace.Room) })
	defer wg.Wait()
	defer stopResting()
	_, err = fmt.Fprintf(c.out, "runtime %s ready, socket %s\n", rt.URL(), l.API.Socket)
	if err == nil {
		<-ctx.Done()
		log.Info("ending")
	}
	stop, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if e := rt.Close(stop); e != nil {
		return fmt.Errorf("the runtime did not end in good order: %w", e)
	}
	return err
}

// traceFile writes events as JSON lines.
type traceFile struct {
	file *os.File
	done chan struct{}
	wg   sync.WaitGroup

	mu  sync.Mutex
	buf *bufio.Writer
	err error // the first one
}

func openTrace(name string) (*traceFile, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	t := &traceFile{file: file, done: make(chan struct{}), buf: bufio.NewWriterSize(file, 64<<10)}
	t.wg.Go(t.flushing)
	return t, nil
}

// write is a [trace.Func].
func (t *traceFile) write(e trace.Event) {
	line, err := json.Marshal(e)
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		_, t.err = t.buf.Write(append(line, '\n'))
	}
}

// flushing writes to the file at least every 100 ms, so that it can be read meanwhile.
func (t *traceFile) flushing() {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			t.flush()
		case <-t.done:
			return
		}
	}
}

func (t *traceFile) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.buf.Flush(); t.err == nil {
		t.err = err
	}
}

func (t *traceFile) close() error {
	close(t.done)
	t.wg.Wait()
	t.flush()
	err := t.file.Close()
	if t.err != nil {
		err = t.err
	}
	if err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return nil
}
