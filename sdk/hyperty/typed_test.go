package hyperty

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/protofly/protofly/sdk/message"
)

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

func TestTypedRequests(t *testing.T) {
	hall := newHall(t)
	alice, shop := member(t, hall, "alice"), member(t, hall, "shop")
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	HandleJSON(shop, func(ctx context.Context, in order, m Received) error {
		switch in.Item {
		case "none":
			return &message.ResponseError{Code: message.CodeConflict, Description: "sold"}
		case "broken":
			return errors.New("no stock list")
		}
		return m.Answer(ctx, order{in.Item, in.Count * 2})
	})
	got, err := RequestJSON[order](ctx, alice, shop.URL(), message.Read, order{"tea", 3})
	if err != nil || got != (order{"tea", 6}) {
		t.Fatal(got, err)
	}
	for _, c := range []struct {
		body any
		code int
		says string
	}{
		{map[string]any{"item": "tea", "count": "three"}, 400, `"count"`},
		{order{Item: "none"}, 409, "sold"},
		{order{Item: "broken"}, 500, "no stock list"},
	} {
		var refused *message.ResponseError
		_, err := RequestJSON[order](ctx, alice, shop.URL(), message.Read, c.body)
		if !errors.As(err, &refused) || refused.Code != c.code || !strings.Contains(refused.Description, c.says) {
			t.Errorf("%v: %v", c.body, err)
		}
	}
	if _, err := RequestJSON[map[string]int](ctx, alice, shop.URL(), message.Read, order{"tea", 3}); !errors.Is(err, message.ErrMalformed) || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("an answer of another type: %v", err)
	}
}

// What is sent as a T is received as one, whatever T is.
func TestTypedBodies(t *testing.T) {
	roundTrip(t, order{"tea", 3})
	roundTrip(t, &order{"tea", 3})
	roundTrip(t, "text")
	roundTrip(t, 42)
	roundTrip(t, []int{1, 2})
	roundTrip(t, map[string]int{"value": 1})
	roundTrip(t, time.Unix(0, 0).UTC())
	roundTrip(t, json.RawMessage(`{"value":1,"other":2}`))
}

func roundTrip[T any](t *testing.T, in T) {
	t.Helper()
	raw, err := encodeBody(in)
	if err != nil {
		t.Fatal(err)
	}
	var out T
	if err := decodeBody(raw, &out); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	if a, b := message.Encode(in), message.Encode(out); string(a) != string(b) {
		t.Errorf("%s came as %s", a, b)
	}
}

func TestProgress(t *testing.T) {
	hall := newHall(t)
	alice, bob := member(t, hall, "alice"), member(t, hall, "bob")
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	bob.Handle(func(ctx context.Context, m Received) {
		for n := range 3 {
			if err := m.Progress(ctx, n); err != nil {
				t.Error(err)
			}
		}
		_ = m.Answer(ctx, "done")
	})
	var seen string
	answer, err := alice.RequestProgress(ctx, bob.URL(), message.Read, nil, func(r message.Result) {
		if r.Code != message.CodeProgress {
			t.Error(r)
		}
		seen += string(r.Value)
	})
	if err != nil || string(answer.Value) != `"done"` || seen != "012" {
		t.Fatal(answer, seen, err)
	}
}
