package connections

import (
	"testing"

	"github.com/protofly/protofly/sdk/message"
)

func TestMovesFollowTheFigure(t *testing.T) {
	legal := map[[2]message.Status]bool{
		{message.Created, message.InProgress}: true, {message.InProgress, message.Live}: true,
		{message.Live, message.Disconnected}: true, {message.Disconnected, message.Live}: true,
		{message.Created, message.Failed}: true, {message.InProgress, message.Failed}: true,
	}
	for from := message.Created; from <= message.DeploymentFailed; from++ {
		for to := message.Created; to <= message.DeploymentFailed; to++ {
			if mayMove(from, to) != legal[[2]message.Status{from, to}] {
				t.Errorf("%v to %v: %v", from, to, mayMove(from, to))
			}
		}
	}
}
