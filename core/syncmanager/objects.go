package syncmanager

import (
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// reported is an object whose reporter runs here. Manager.mu guards it.
type reported struct {
	replica
	reporter message.URL
	private  bool
	children []string                // the names that child objects may have; never changed
	remotes  map[message.URL]*remote // runtimes that observe it
	changes  *feed                   // to U/changes
	stops    []func()                // its listeners
}

// remote is a runtime that observes a reported object.
type remote struct {
	observers map[message.URL]struct{}
	stop      func() // ends the forwarding of U/changes to it
}

// describe is the metadata that a reporter may change of its object.
func (r *reported) describe(meta object.Metadata) object.Metadata {
	next := r.meta
	next.Version, next.LastModified, next.Name, next.Resources = meta.Version, meta.LastModified, meta.Name, meta.Resources
	return next
}

// created is the answer to the create of r.
func (r *reported) created(msg message.Message) message.Message {
	return msg.RespondBody(message.Encode(valueBody{Code: message.CodeOK, Resource: r.url, Children: r.children}))
}

// notYours is the refusal to touch an object that another component reports, or nobody here.
func notYours(url message.URL, exists bool) error {
	if exists {
		return refuse(message.CodeForbidden, "only its reporter may do that with "+string(url))
	}
	return refuse(message.CodeNotFound, "no data object "+string(url)+" is reported here")
}

// publish gives an update to every observer (specification, "Update"). Manager.mu is held.
func (r *reported) publish(u object.Update) {
	r.tell(u)
	if len(r.remotes) > 0 {
		r.changes.update(r.changes.message(u))
	}
}

// publishAll gives the whole value to every observer. Manager.mu is held.
func (r *reported) publishAll() {
	r.tellAll()
	if len(r.remotes) > 0 {
		r.changes.all()
	}
}

// observed is an object of another runtime that components of this one follow. Manager.mu guards it.
type observed struct {
	replica
	stop    func()          // ends listening at U/changes
	waiting int             // subscribes that are under way
	joining bool            // the value is being fetched: updates wait in early
	early   []object.Update //
	bytes   int             // of early
	again   bool            // a renewal is under way
}
