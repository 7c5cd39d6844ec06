// Package backbone is the NATS that joins the nodes of a domain: messages go over it, and the state is kept in it.
//
//   - [NATS] is an embedded server without any port, or a connection to a cluster.
//   - [Subjects] makes the subjects under which a domain's messages are published: hashes, never text from outside.
//   - [Interests] knows which of a node's connections want what is published on a subject. Each subject is subscribed once.
//   - [Seal] authenticates the nodes' messages to each other, at a cluster that others use as well.
//
// It knows nothing of messages, runtimes or tables: what is published and kept are bytes.
package backbone
