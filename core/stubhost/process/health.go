package process

import (
	"context"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// misses is how many questions in a row a process leaves unanswered before it is given up. The second one is for a
// machine that was asleep: both sides wake up, and the host's time is over before the plug-in can answer.
const misses = 2

// examine asks a running process over and over whether it is alive, by the health check that every go-plugin plug-in
// serves. It returns when the link has ended, or with true when the process does not answer.
func examine(ctx context.Context, linkEnded <-chan struct{}, conn grpc.ClientConnInterface, every time.Duration) (frozen bool) {
	health := grpc_health_v1.NewHealthClient(conn)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for missed := 0; missed < misses; {
		select {
		case <-linkEnded:
			return false
		case <-ticker.C:
		}
		asked, cancel := context.WithTimeout(ctx, every)
		_, err := health.Check(asked, &grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
		cancel()
		if status.Code(err) == codes.DeadlineExceeded { // any other answer is one
			missed++
		} else {
			missed = 0
		}
	}
	return true
}
