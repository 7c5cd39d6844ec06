package api

import (
	"encoding/json"
	"fmt"
)

// maxStatus is how large a Status may be as JSON: it is one message of gRPC.
const maxStatus = 3 << 20

// encode is s as JSON. Where that would be too large its lists are cut, the longest first, and LeftOut says of how many entries:
// others can make any number of sessions, and choose the addresses in them.
func (s Status) encode() ([]byte, error) {
	text, err := json.Marshal(s.lists())
	for most := 4096; err == nil && len(text) > maxStatus; most /= 2 {
		if most == 0 {
			return nil, fmt.Errorf("status: %d bytes are too much", len(text))
		}
		text, err = json.Marshal(s.cut(most).lists())
	}
	return text, err
}

// cut is s with so many entries of each list. Sessions also say less of who is behind.
func (s Status) cut(most int) Status {
	sessions := s.Sessions
	s.Hyperties, s.Objects, s.Stubs = first(&s, s.Hyperties, most), first(&s, s.Objects, most), first(&s, s.Stubs, most)
	s.Connections, s.WithoutSessions = first(&s, s.Connections, most), first(&s, s.WithoutSessions, most)
	s.Sessions = append([]Session(nil), first(&s, sessions, most)...)
	for i := range s.Sessions {
		one := &s.Sessions[i]
		one.HeldUp, one.Waiting = first(&s, one.HeldUp, most/256), first(&s, one.Waiting, most/256)
	}
	return s
}

func first[T any](s *Status, list []T, most int) []T {
	s.LeftOut += max(0, len(list)-most)
	return list[:min(len(list), most)]
}
