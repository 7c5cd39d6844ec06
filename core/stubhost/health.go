package stubhost

import (
	"context"
	"fmt"
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
// serves, and kills one that does not answer: what follows is what follows a crash. It ends with the link.
func (pr *process) examine(conn grpc.ClientConnInterface) {
	every := pr.plugin.host.o.Health
	health := grpc_health_v1.NewHealthClient(conn)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for missed := 0; missed < misses; {
		select {
		case <-pr.conn.Done():
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(pr.ctx, every)
		_, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName})
		cancel()
		if status.Code(err) == codes.DeadlineExceeded { // any other answer is one
			missed++
		} else {
			missed = 0
		}
	}
	pr.mu.Lock()
	stopping := pr.stopping // then its grace is running
	pr.frozen = !stopping
	pr.mu.Unlock()
	if !stopping {
		pr.run.kill()
	}
}

// frozenDetail is how a frozen process ended.
func (pr *process) frozenDetail() string {
	return fmt.Sprintf("it did not answer for %s and was killed", misses*pr.plugin.host.o.Health)
}
