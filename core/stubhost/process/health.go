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

// maxUnanswered is how many health checks in a row a process leaves unanswered before it is killed. One is not enough: when a
// machine wakes up from sleep, the host's time may be over before the plug-in can answer.
const maxUnanswered = 2

// checkHealth calls the health check, which every go-plugin plug-in serves, once in each interval. It returns when the link has
// ended, or with true when the process does not answer.
func checkHealth(ctx context.Context, linkEnded <-chan struct{}, conn grpc.ClientConnInterface, every time.Duration) (frozen bool) {
	health := grpc_health_v1.NewHealthClient(conn)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for missed := 0; missed < maxUnanswered; {
		select {
		case <-linkEnded:
			return false
		case <-ticker.C:
		}
		asked, cancel := context.WithTimeout(ctx, every)
		_, err := health.Check(asked, &grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
		cancel()
		if status.Code(err) == codes.DeadlineExceeded { // any other error is an answer
			missed++
		} else {
			missed = 0
		}
	}
	return true
}
