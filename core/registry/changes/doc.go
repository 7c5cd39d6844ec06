// Package changes is /registry/changes (specification, "Registry changes"): the list of the addresses that live at a runtime, and how it
// changes.
//
// A subscription is answered with {code, value: [addresses], version: n}; an update is {operation: "add"|"remove", value, version: n+1};
// one without an operation is a complete list. A gap in the version is healed by subscribing again. Lists longer than fits a message
// are continued by "add" updates.
//
// [Publisher] is the side that has the list, [Subscription] the one that follows it. Both are states that do no I/O, take no lock and are
// told what time it is. What the Publisher has to say leaves through an [Outbox], so that followers get it in the order of its versions.
package changes
