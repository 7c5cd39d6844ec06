package stubhost

import (
	"errors"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/core/stubhost/process"
	"github.com/protofly/protofly/core/stubhost/stub"
)

// Errors that a caller may tell apart with errors.Is. They come wrapped with the stub or plug-in that they are about.
var (
	ErrClosed      = errors.New("the stub host is closed")
	ErrDeployed    = errors.New("the stub is deployed already")
	ErrNotDeployed = stub.ErrNotDeployed
	ErrNotRunning  = stub.ErrNotRunning
	ErrNoDoor      = errors.New("the stub has no such door open")
	ErrNoProcess   = process.ErrNoProcess
	ErrHangs       = stub.ErrHangs
	ErrReloading   = errors.New("the plug-in is being reloaded already")
)

// Why a plug-in did not start or has ended: see package failure.
type (
	StartError = failure.StartError
	ExitError  = failure.ExitError
	Reason     = failure.Reason
)

// The reasons of a [StartError].
const (
	Missing     = failure.Missing
	Checksum    = failure.Checksum
	NotRunning  = failure.NotRunning
	Exited      = failure.Exited
	Garbage     = failure.Garbage
	Version     = failure.Version
	Hung        = failure.Hung
	Impostor    = failure.Impostor
	LinkFailed  = failure.LinkFailed
	Unseparated = failure.Unseparated
)
