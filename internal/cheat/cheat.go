package cheat

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// Options are the settings of a cheating program, as JSON or flags.
type Options struct {
	Seed    uint64 `json:"seed"`
	Percent int    `json:"percent"` // the percentage of chances that are used
	Always  bool   `json:"always"`  // without the honest part of each second
	Record  string `json:"record"`  // the file for all bytes that are seen; required
	Report  string `json:"report"`  // the file for the counts, a [Report]; required

	// Names are the addresses that the program may pretend to have: of applications, first of the test's victims.
	Names []string `json:"names"`
}

// Report counts the cheats so far.
type Report struct {
	Cheats   map[string]uint64 `json:"cheats"`   // tries, by kind
	Breaches map[string]uint64 `json:"breaches"` // tries that have succeeded as far as the cheating program can tell
}

// ReadReport reads the report of a cheating program; if the file does not exist yet, it is empty.
func ReadReport(file string) (r Report, err error) {
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// Total is the number of tries.
func (r Report) Total() (n uint64) {
	for _, c := range r.Cheats {
		n += c
	}
	return n
}

// Cheat is the state of one cheating program. Its methods may be called from any goroutine.
type Cheat struct {
	o      Options
	record *os.File
	done   chan struct{}
	wg     sync.WaitGroup

	closing sync.Once
	closed  error

	mu     sync.Mutex
	random *rand.Rand
	seen   *bufio.Writer
	report Report
	err    error // of the record
}

const (
	reportPause = 100 * time.Millisecond
	period      = time.Second            // in each,
	honesty     = 300 * time.Millisecond // for so long, nothing is done
)

// New opens the files, and continues those of an earlier process.
func New(o Options) (*Cheat, error) {
	if o.Record == "" || o.Report == "" || o.Percent < 0 || o.Percent > 100 {
		return nil, fmt.Errorf("cheat: want a record, a report and a percentage, not %+v", o)
	}
	f, err := os.OpenFile(o.Record, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cheat: %w", err)
	}
	c := &Cheat{o: o, record: f, seen: bufio.NewWriterSize(f, 1<<20), done: make(chan struct{}), random: rand.New(rand.NewPCG(o.Seed, 1))}
	if c.report, err = ReadReport(o.Report); err != nil { // of an earlier process
		_ = f.Close()
		return nil, fmt.Errorf("cheat: %w", err)
	}
	if c.report.Cheats == nil {
		c.report = Report{Cheats: map[string]uint64{}, Breaches: map[string]uint64{}}
	}
	c.wg.Go(c.keep)
	return c, nil
}

// Names returns [Options].Names.
func (c *Cheat) Names() []string { return c.o.Names }

// Saw adds to the record.
func (c *Cheat) Saw(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.seen.Write(append(b[:len(b):len(b)], '\n')); err != nil {
		c.err = err
	}
}

// Count counts a try.
func (c *Cheat) Count(kind string) {
	c.mu.Lock()
	c.report.Cheats[kind]++
	c.mu.Unlock()
}

// First tells whether a kind has never been tried.
func (c *Cheat) First(kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.report.Cheats[kind] == 0
}

// Breach counts a try that has succeeded.
func (c *Cheat) Breach(kind string) {
	c.mu.Lock()
	c.report.Breaches[kind]++
	c.mu.Unlock()
}

// Now tells whether to use this chance.
func (c *Cheat) Now() bool {
	if !c.o.Always && time.Now().UnixNano()%int64(period) < int64(honesty) {
		return false
	}
	return c.IntN(100) < c.o.Percent
}

// IntN is a random number below n.
func (c *Cheat) IntN(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

// Bytes returns n random bytes.
func (c *Cheat) Bytes(n int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(c.random.Uint32())
	}
	return b
}

// keep writes the files from time to time.
func (c *Cheat) keep() {
	tick := time.NewTicker(reportPause)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-tick.C:
		case <-c.done:
			ended = true
		}
		if err := c.write(); err != nil {
			fmt.Fprintln(os.Stderr, "cheat:", err)
		}
	}
}

func (c *Cheat) write() error {
	c.mu.Lock()
	r := Report{Cheats: maps.Clone(c.report.Cheats), Breaches: maps.Clone(c.report.Breaches)}
	err := c.err
	if e := c.seen.Flush(); err == nil {
		err = e
	}
	c.mu.Unlock()
	text, e := json.Marshal(r)
	if err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.o.Report+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(c.o.Report+".new", c.o.Report)
}

// Close writes what there is and closes the files. Closing twice gives the first call's error.
func (c *Cheat) Close() error {
	c.closing.Do(func() {
		close(c.done)
		c.wg.Wait()
		c.closed = c.record.Close()
	})
	return c.closed
}
