package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/protofly/protofly/core/registry/entries"
	"github.com/protofly/protofly/core/registry/nodes"
	"github.com/protofly/protofly/sdk/hyperty"
	"github.com/protofly/protofly/sdk/message"
)

// foundSize is how many hyperties a page has by default.
const foundSize = 100

// Search asks a Domain Registry for hyperties (specification, "Domain registry": a read with criteria). Entries that are not to be
// believed, and those of runtimes that this one may not speak with, are left out. The error is a *message.ResponseError.
func (r *Registry) Search(ctx context.Context, q hyperty.Query) (hyperty.Findings, error) {
	q.Domain = strings.ToLower(cmp.Or(q.Domain, r.opts.Domain))
	q.Page, q.Size = max(q.Page, 1), min(cmp.Or(max(q.Size, 0), foundSize), hyperty.MaxFound)
	body, err := r.searchBody(q)
	if err != nil {
		return hyperty.Findings{}, err
	}
	if err := r.reserve(ctx, q.Domain, nodes.Ours); err != nil {
		return hyperty.Findings{}, err
	}
	answer, err := r.call.request(ctx, message.Read, message.DomainRegistryAddress(q.Domain), body)
	var no *message.ResponseError
	switch {
	case err == nil, errors.As(err, &no) && no.Code == message.CodeTimeout && len(answer.Body) > 0: // all of them are disconnected
	case no != nil && no.Code == message.CodeNotFound:
		return hyperty.Findings{}, nil
	case no != nil && (no.Code == message.CodeTooMany || no.Code == message.CodeTooLarge || no.Code == message.CodeBadRequest):
		return hyperty.Findings{}, r.refuse(no.Code, "the Domain Registry of %s: %s", q.Domain, no.Description)
	case ctx.Err() != nil:
		return hyperty.Findings{}, ErrClosed
	default:
		return hyperty.Findings{}, r.refuse(message.CodeUnavailable, "cannot ask the Domain Registry of %s: %v", q.Domain, err)
	}
	out, err := r.findings(&answer, q)
	if err != nil {
		return hyperty.Findings{}, r.refuse(message.CodeUnavailable, "the Domain Registry of %s: %v", q.Domain, err)
	}
	return out, nil
}

// searchBody is the question as the Domain Registry takes it.
func (r *Registry) searchBody(q hyperty.Query) (map[string]any, error) {
	criteria := map[string]any{"scheme": message.SchemeHyperty}
	for name, text := range map[string]string{"resources": q.Resource, "dataSchemes": q.Scheme} {
		if len(text) > 256 {
			return nil, r.refuse(message.CodeBadRequest, "%s: %d bytes, at most 256 are allowed", name, len(text))
		}
		if text != "" {
			criteria[name] = []string{text}
		}
	}
	body := map[string]any{"criteria": criteria, "page": q.Page, "size": q.Size}
	if q.User != "" {
		user, err := message.ParseURL(string(q.User))
		if err != nil {
			return nil, r.refuse(message.CodeBadRequest, "user: %v", err)
		}
		body["resource"] = "/hyperty/user/" + string(user)
	}
	if message.DomainRegistryAddress(q.Domain).Check() != nil {
		return nil, r.refuse(message.CodeBadRequest, "%.100q is no domain", q.Domain)
	}
	return body, nil
}

// findings reads the answer. A node of an earlier version knows no pages: it gives all that it would give.
func (r *Registry) findings(answer *message.Message, q hyperty.Query) (hyperty.Findings, error) {
	var body struct {
		Value json.RawMessage `json:"value"`
		More  bool            `json:"more"`
		Page  int             `json:"page"`
	}
	if err := answer.Decode(&body); err != nil {
		return hyperty.Findings{}, fmt.Errorf("its answer: %w", err)
	}
	list, err := r.beliefs.Search(time.Now(), body.Value, r.mayFind)
	if err != nil {
		return hyperty.Findings{}, err
	}
	out := hyperty.Findings{More: body.More}
	if body.Page != q.Page {
		from := min((q.Page-1)*q.Size, len(list))
		to := min(from+q.Size, len(list))
		list, out.More = list[from:to], to < len(list)
	}
	out.Found = make([]hyperty.Found, 0, len(list))
	for i := range list {
		if f := found(&list[i]); fits(q, &f) {
			out.Found = append(out.Found, f)
		}
	}
	return out, nil
}

// mayFind tells whether this runtime may speak with a hyperty at a runtime.
func (r *Registry) mayFind(name, runtime message.URL) bool {
	if name.Scheme() != message.SchemeHyperty || r.opts.Trust.MayFind == nil {
		return name.Scheme() == message.SchemeHyperty
	}
	return runtime.Runtime() == r.opts.Runtime || r.opts.Trust.MayFind(name, runtime)
}

// fits tells whether a hyperty is what was asked for: a node may answer anything, and may speak for its own domain alone.
func fits(q hyperty.Query, f *hyperty.Found) bool {
	return f.URL.NodeDomain() == q.Domain && (q.User == "" || f.User.Canonical() == q.User.Canonical()) &&
		(q.Resource == "" || slices.Contains(f.Resources, q.Resource)) && (q.Scheme == "" || slices.Contains(f.DataSchemes, q.Scheme))
}

func found(e *entries.Found) hyperty.Found {
	f := hyperty.Found{URL: e.URL, User: e.User, Runtime: e.Runtime.Runtime(), Descriptor: e.Descriptor, Resources: e.Resources,
		DataSchemes: e.DataSchemes, State: hyperty.Registered, Since: e.Since}
	if e.Away {
		f.State = hyperty.Away
	}
	return f
}
