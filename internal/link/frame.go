package link

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/protofly/protofly/internal/link/linkpb"
)

// Field numbers of link.proto. Data and messages are written and read here by hand, without an allocation for each;
// everything else goes through the generated code.
const (
	batchFrames   protowire.Number = 1
	frameInstance protowire.Number = 1
	frameMessage  protowire.Number = 7
	frameData     protowire.Number = 8
	frameCredit   protowire.Number = 11
	dataDoor      protowire.Number = 1
	dataPeer      protowire.Number = 2
	dataPayload   protowire.Number = 3
	creditDoor    protowire.Number = 1
	creditBytes   protowire.Number = 2
	lastKind      protowire.Number = 11 // the highest kind that this version knows
)

// frame is one parsed Frame. The slices alias the batch.
type frame struct {
	instance, door uint32
	kind           protowire.Number // of the oneof; 0: none
	peer, payload  []byte
	credit         uint64
	raw            []byte // the Frame itself
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendLen(b []byte, field protowire.Number, n int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(n))
}

func sizeVarint(v uint64) int { return 1 + protowire.SizeVarint(v) } // with a tag of one byte, as all tags here
func sizeBytes(n int) int     { return 1 + protowire.SizeBytes(n) }

// appendFrame appends a data frame, or a message if door is 0, as a field of a Batch.
func appendFrame(b []byte, instance, door uint32, f Frame) []byte {
	head := sizeVarint(uint64(instance))
	if door == 0 {
		b = appendLen(b, batchFrames, head+sizeBytes(len(f.Payload)))
		b = appendVarint(b, frameInstance, uint64(instance))
		return append(appendLen(b, frameMessage, len(f.Payload)), f.Payload...)
	}
	inner := sizeVarint(uint64(door)) + sizeBytes(len(f.Payload))
	if f.Peer != "" {
		inner += sizeBytes(len(f.Peer))
	}
	b = appendLen(b, batchFrames, head+sizeBytes(inner))
	b = appendVarint(b, frameInstance, uint64(instance))
	b = appendLen(b, frameData, inner)
	b = appendVarint(b, dataDoor, uint64(door))
	if f.Peer != "" {
		b = append(appendLen(b, dataPeer, len(f.Peer)), f.Peer...)
	}
	return append(appendLen(b, dataPayload, len(f.Payload)), f.Payload...)
}

func appendCredit(b []byte, instance, door uint32, bytes uint64) []byte {
	inner := sizeVarint(uint64(door)) + sizeVarint(bytes)
	b = appendLen(b, batchFrames, sizeVarint(uint64(instance))+sizeBytes(inner))
	b = appendVarint(b, frameInstance, uint64(instance))
	b = appendLen(b, frameCredit, inner)
	b = appendVarint(b, creditDoor, uint64(door))
	return appendVarint(b, creditBytes, bytes)
}

func appendControl(b []byte, f *linkpb.Frame) ([]byte, error) {
	b = appendLen(b, batchFrames, proto.Size(f))
	return proto.MarshalOptions{}.MarshalAppend(b, f)
}

// fields calls each for every field of the protobuf message b; only numbers and byte strings are of interest.
func fields(b []byte, each func(field protowire.Number, number uint64, data []byte) error) error {
	for len(b) > 0 {
		field, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return violation("a field's tag: %v", protowire.ParseError(n))
		}
		b = b[n:]
		var number uint64
		var data []byte
		switch typ {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			data, n = protowire.ConsumeBytes(b)
		default:
			if n = protowire.ConsumeFieldValue(field, typ, b); n >= 0 {
				b = b[n:]
				continue
			}
		}
		if n < 0 {
			return violation("field %d: %v", field, protowire.ParseError(n))
		}
		b = b[n:]
		if err := each(field, number, data); err != nil {
			return err
		}
	}
	return nil
}

// parseBatch calls each for every frame in b.
func parseBatch(b []byte, each func(f *frame) error) error {
	var f frame
	return fields(b, func(field protowire.Number, _ uint64, data []byte) error {
		if field != batchFrames {
			return nil
		}
		if err := parseFrame(data, &f); err != nil {
			return err
		}
		return each(&f)
	})
}

func parseFrame(b []byte, f *frame) error {
	*f = frame{raw: b}
	return fields(b, func(field protowire.Number, number uint64, data []byte) error {
		if field == frameInstance {
			f.instance = uint32(number)
			return nil
		}
		if field > lastKind || data == nil {
			return nil
		}
		f.kind = field
		switch field {
		case frameMessage:
			f.payload = data
		case frameData:
			return parseData(data, f)
		case frameCredit:
			return parseCredit(data, f)
		}
		return nil
	})
}

func parseData(b []byte, f *frame) error {
	return fields(b, func(field protowire.Number, number uint64, data []byte) error {
		switch field {
		case dataDoor:
			f.door = uint32(number)
		case dataPeer:
			f.peer = data
		case dataPayload:
			f.payload = data
		}
		return nil
	})
}

func parseCredit(b []byte, f *frame) error {
	return fields(b, func(field protowire.Number, number uint64, _ []byte) error {
		switch field {
		case creditDoor:
			f.door = uint32(number)
		case creditBytes:
			f.credit = number
		}
		return nil
	})
}
