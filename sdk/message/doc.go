// Package message has the types that every part of Protofly uses: [URL], [ID], [Type], [Message], [Status], the response codes,
// and the [Bus] that carries messages. It depends on the standard library only.
//
// A [Message] has two forms. The JSON form is the specification's (message model, header and body): routing fields
// ("via", "source", "p2p") live inside the body there, so that the reference implementations understand them. The
// binary form ([Message.AppendBinary], [ParseBinary]) is what travels between Protofly's own parts; it is the
// protobuf wire format of the message "Message" in sdk/link/link.proto, written by hand so that the hot path
// allocates nothing. It has two parts, routing and own: see [Message.AppendRouting].
//
// Everything that comes from outside goes through [ParseURL], [ParseID], [ParseType], [Message.UnmarshalJSON] or
// [ParseBinary]; what they accept is bounded ([MaxURL], [MaxBody], [MaxVia]). A value of these types that did not
// come from there is trusted.
package message
