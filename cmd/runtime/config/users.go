package config

import (
	"fmt"
	"math"
	"strconv"

	"github.com/protofly/protofly/core/stubhost/sandbox"
)

// The limits of the first user ID in plugins.uids: systems give IDs below to people and services.
const (
	leastUID = 1 << 16
	mostUID  = math.MaxUint32 - sandbox.UIDs
)

// parseUIDs reads plugins.uids.
func parseUIDs(text string) (sandbox.Users, error) {
	switch text {
	case "auto":
		return sandbox.Users{Mode: sandbox.Auto}, nil
	case "on":
		return sandbox.Users{Mode: sandbox.Required}, nil
	case "off", "0":
		return sandbox.Users{Mode: sandbox.Off}, nil
	}
	first, err := strconv.ParseUint(text, 10, 32)
	if err != nil || first < leastUID || first > mostUID {
		return sandbox.Users{}, fmt.Errorf("want auto, on, off, or the first of %d user IDs that nobody else has, from %d to %d", sandbox.UIDs, leastUID, uint64(mostUID))
	}
	return sandbox.Users{Mode: sandbox.Auto, First: uint32(first)}, nil
}
