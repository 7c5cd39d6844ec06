package core

import (
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/hashicorp/go-hclog"

	"github.com/protofly/protofly/core/api"
	"github.com/protofly/protofly/core/apps"
	"github.com/protofly/protofly/core/bus"
	"github.com/protofly/protofly/core/catalogue"
	"github.com/protofly/protofly/core/delivery"
	"github.com/protofly/protofly/core/doors"
	"github.com/protofly/protofly/core/identity"
	"github.com/protofly/protofly/core/plainpeers"
	"github.com/protofly/protofly/core/registry"
	"github.com/protofly/protofly/core/session"
	"github.com/protofly/protofly/core/stubhost"
	"github.com/protofly/protofly/core/stubs"
	"github.com/protofly/protofly/core/syncmanager"
	"github.com/protofly/protofly/core/trace"
	"github.com/protofly/protofly/sdk/message"
)

// Runtime is a running runtime. It is made by [Start] and must be closed.
type Runtime struct {
	config  Config
	log     hclog.Logger
	started time.Time
	trace   trace.Hub

	lock      *flock.Flock
	identity  *identity.Identity
	key       session.Key
	policy    *identity.Policy
	catalogue *catalogue.Catalogue

	// Components, in the order in which they are made; see wire.
	background *background
	host       *stubhost.Host
	bus        *bus.MessageBus
	tracker    delivery.Tracker
	refusals   *delivery.Refusals
	doors      *doors.Table
	stubs      *stubs.Stubs
	sessions   *session.Sessions
	registry   *registry.Registry
	framesIn   doors.FramesIn
	plain      *plainpeers.Peers
	apps       *apps.Apps
	sync       *syncmanager.Manager
	api        *api.Server

	closeOnce sync.Once
	closeErr  error
}

// URL is the runtime's own address.
func (rt *Runtime) URL() message.URL { return rt.identity.URL() }
