package testbed

import (
	"context"
	"fmt"
	"sync"
)

// Shared is one bed for the runnable examples of a package. It is opened when it is first used.
//
//	var runtimes = testbed.Shared{Options: testbed.Options{Runtimes: []string{"alice", "bob"}}}
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(runtimes.Around(m)) }
type Shared struct {
	Options Options

	once sync.Once
	bed  *Bed
	err  error
}

// Bed returns the bed. It panics if that cannot be opened, since an example has no other way to fail.
func (s *Shared) Bed() *Bed {
	s.once.Do(func() { s.bed, s.err = Open(context.Background(), s.Options) })
	if s.err != nil {
		panic(s.err)
	}
	return s.bed
}

// Socket returns the socket of the runtime of that name.
func (s *Shared) Socket(name string) string {
	socket, ok := s.Bed().Sockets[name]
	if !ok {
		panic(fmt.Sprintf("there is no runtime %q", name))
	}
	return socket
}

// Around returns a runner for TestMain that runs m and then closes the bed.
func (s *Shared) Around(m interface{ Run() int }) interface{ Run() int } { return &around{s, m} }

type around struct {
	shared *Shared
	inner  interface{ Run() int }
}

func (a *around) Run() int {
	code := a.inner.Run()
	if a.shared.bed != nil {
		a.shared.bed.Close()
	}
	return code
}
