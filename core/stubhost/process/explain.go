package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/protofly/protofly/core/stubhost/failure"
	"github.com/protofly/protofly/internal/link"
)

// explain makes the error of a failed start from what was seen of the process. The process is gone when it is called.
// timeout is the time that the process had to start.
func explain(r *runner, timeout time.Duration, err error) error {
	var known *failure.StartError
	if errors.As(err, &known) {
		return err
	}
	say := func(reason failure.Reason, err error, format string, args ...any) error {
		return &failure.StartError{Plugin: r.name, Reason: reason, Detail: fmt.Sprintf(format, args...), Err: err}
	}
	var system syscall.Errno
	if errors.As(err, &system) && r.ID() == "" || errors.Is(err, os.ErrPermission) && r.ID() == "" {
		return say(failure.NotRunning, err, "the system does not run its executable; was it built for this machine?")
	}
	if r.ID() == "" {
		return say(failure.NotRunning, err, "it could not be started")
	}
	advice := ""
	if r.policy != nil && strings.Contains(strings.ToLower(r.logs.LastLine()), "permission denied") {
		advice = "; it is confined: name the files and folders that it needs in plugins.paths"
	}
	line := bytes.TrimSpace(r.first)
	hung := r.late.Load()
	if len(line) == 0 {
		if hung {
			return say(failure.Hung, nil, "it did not answer within %s of its start", timeout)
		}
		return say(failure.Exited, nil, "it ended at once: %s%s", r.describeExit(), advice)
	}
	parts := strings.Split(string(line), "|")
	if len(parts) < 5 || parts[0] != strconv.Itoa(goplugin.CoreProtocolVersion) {
		return say(failure.Garbage, nil, "it printed %.100q instead of the handshake; is it a Protofly plug-in, and does it write to standard output?", line)
	}
	if version, bad := strconv.Atoi(parts[1]); bad != nil || version != link.ProtocolVersion {
		return say(failure.Version, nil, "it speaks version %.20s of the link protocol, this runtime speaks version %d; update the older of the two",
			parts[1], link.ProtocolVersion)
	}
	if parts[4] != string(goplugin.ProtocolGRPC) {
		return say(failure.Garbage, nil, "it speaks %.20q, want grpc", parts[4])
	}
	if hung {
		return say(failure.Hung, nil, "its link did not work within %s of its start", timeout)
	}
	return say(failure.LinkFailed, err, "its link does not work (%s)", r.describeExit())
}
