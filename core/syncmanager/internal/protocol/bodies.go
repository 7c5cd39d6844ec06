package protocol

import (
	"encoding/json"
	"regexp"

	"github.com/protofly/protofly/core/syncmanager/internal/missed"
	"github.com/protofly/protofly/internal/object"
	"github.com/protofly/protofly/sdk/message"
)

// Request is the body of everything that is asked at <runtime>/sm and at U/subscription.
type Request struct {
	Resume     bool            `json:"resume"`
	Resource   message.URL     `json:"resource"`
	Schema     message.URL     `json:"schema"`
	Scheme     string          `json:"scheme"`
	Private    bool            `json:"private"`
	Value      object.Metadata `json:"value"`
	Authorise  message.URLs    `json:"authorise"`
	Subscriber message.URL     `json:"subscriber"`
	Wish       bool            `json:"wish"`   // create: the resource is a wish, or an object that this reporter had before
	Reason     string          `json:"reason"` // unsubscribe by the reporter: for the observer
}

// ObserverOf is the component that a sync manager asks for: the specification and the reference implementation name it
// differently.
func ObserverOf(msg message.Message, body Request) message.URL {
	if body.Subscriber != "" {
		return body.Subscriber
	}
	return msg.Source
}

// Resource is the body of a message that names an object and says nothing else of it.
type Resource struct {
	Resource message.URL `json:"resource"`
}

// Value is the body of a response that carries an object (specification, "Subscribe").
type Value struct {
	Code     int             `json:"code"`
	Schema   message.URL     `json:"schema,omitempty"`
	Resource message.URL     `json:"resource,omitempty"`
	Owner    message.URL     `json:"owner,omitempty"`
	Children []string        `json:"childrenResources,omitempty"`
	Value    json.RawMessage `json:"value,omitempty"`

	Observers message.URLs `json:"observers,omitempty"` // to a reporter: who observes
	Reclaimed bool         `json:"reclaimed,omitempty"` // to a reporter: the object was there, and has this value
}

// End is why an object ends for an observer. An earlier version does not say.
type End struct {
	Why    string `json:"end,omitempty"`    // one of the words below
	Reason string `json:"reason,omitempty"` // for people
}

// The words for an end.
const (
	Deleted = "deleted" // by its reporter, or with it
	Expired = "expired" // its reporter was away for longer than its grace time
	ByKick  = "kicked"  // the reporter has ended this observer's observation
	Refused = "refused" // the reporter does not allow this observer any more
)

// MaxReason is how many bytes a reason has.
const MaxReason = 1024

// Ended is the body of the message that an object has ended, for an observer or for everybody.
type Ended struct {
	Resource   message.URL `json:"resource"`
	Subscriber message.URL `json:"subscriber,omitempty"`
	End
}

// Life is the body of the notice whether an object's reporter is there.
type Life struct {
	Resource message.URL `json:"resource,omitempty"`
	Status   string      `json:"status"`         // "away" or "live"
	Away     string      `json:"away,omitempty"` // since when
}

// LifeOf is that notice; away is "" where the reporter is there.
func LifeOf(url message.URL, away string) Life {
	if away == "" {
		return Life{url, "live", ""}
	}
	return Life{url, "away", away}
}

// Heard is what a sync manager that asks whether a runtime is there has heard before of what it may have missed. An earlier version
// says nothing.
type Heard struct {
	Life   string `json:"life,omitempty"`  // of the sync manager that is asked
	Number uint64 `json:"heard,omitempty"` // of the last news from that life
}

// Here is the answer to the question whether a runtime is there.
type Here struct {
	Code   int          `json:"code"`
	Life   string       `json:"life"`             // which one of that runtime's sync manager this is
	Missed *missed.News `json:"missed,omitempty"` // what the one who asks may have missed; nil: nothing, or an earlier version
}

// Child is the body of a request for a child object.
type Child struct {
	Name      string          `json:"name,omitempty"`
	Resource  string          `json:"resource"`
	Attribute string          `json:"attribute,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
}

var schemeForm = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)

// CheckCreate reads the object that is to be created, and fills in what the request leaves out. The wished address may be "".
func (r *Request) CheckCreate() (object.Document, error) {
	doc, err := object.Parse(r.Value.Data)
	if err == nil {
		err = r.Value.Check()
	}
	if err == nil {
		err = object.CheckNames(r.Value.Childrens)
	}
	if err != nil {
		return doc, err
	}
	if r.Schema == "" {
		r.Schema = r.Value.Schema
	}
	if r.Scheme == "" {
		if r.Scheme = "resource"; r.Resource != "" {
			r.Scheme = r.Resource.Scheme()
		}
	}
	if !schemeForm.MatchString(r.Scheme) || !IsObject(message.URL(r.Scheme+"://d/o")) {
		return doc, Refuse(message.CodeBadRequest, "a data object's address cannot have the scheme "+r.Scheme)
	}
	if r.Resource != "" && (!IsObject(r.Resource) || r.Resource.Scheme() != r.Scheme) {
		return doc, Refuse(message.CodeBadRequest, "a data object's address is <scheme>://<domain>/<id>")
	}
	return doc, nil
}

// IsObject tells whether an address can be a data object's: two parts, and no runtime, hyperty or back end.
func IsObject(u message.URL) bool {
	if u.Check() != nil || u == message.SessionAddress {
		return false
	}
	path := u.Path()
	return len(path) > 1 && u.Base() == u && !u.IsRuntime() && !u.IsBackEnd() && u.Scheme() != message.SchemeHyperty && u.Scheme() != "user"
}

// Names are the names of children, never null in JSON.
func Names(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
