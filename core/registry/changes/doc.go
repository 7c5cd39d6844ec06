// Package changes is /registry/changes (specification, "Registry changes"): the list of the addresses that live at a runtime,
// and its changes.
//
// A subscription is answered with {code, value: [addresses], version: n}; an update is {operation: "add"|"remove", value,
// version: n+1}; an update without an operation is a complete list. A follower heals a gap in the versions by subscribing
// again. A list that is too long for one message is continued by "add" updates.
//
// [Publisher] is the side that has the list, [Subscription] the side that follows it. Both are states that do no I/O and take
// no lock; their callers say what time it is. The Publisher's messages leave through an [Outbox], so that followers get them
// in the order of versions.
package changes
