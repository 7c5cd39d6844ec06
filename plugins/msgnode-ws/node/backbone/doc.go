// Package backbone is the NATS by which the nodes of a domain are one: messages go over it, and the state is kept in it.
//
//   - [NATS] is an embedded server without any port, or a connection to a cluster.
//   - [Subjects] are under which subjects a domain's messages are published: hashes, never text from outside.
//   - [Interests] are which of a node's connections want what is published there. Each subject is subscribed once.
//   - [Seal] is by what nodes know each other's messages at a cluster that others use as well.
//
// It knows nothing of messages, runtimes or tables: what is published and kept are bytes.
package backbone
