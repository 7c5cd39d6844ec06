// Package apps has the hyperties of this runtime, and attaches each to the MessageBus.
//
// An application is in the runtime's process ([Apps.Register]), or in another process that uses the local application API
// ([Apps.Attach]). Either way a hyperty has an attachment. It posts in the hyperty's name, gives it the messages to its address,
// and tracks messages if the hyperty wants to know what becomes of them. Its Close drops everything that was kept for the hyperty.
//
// A hyperty can follow the registrations of addresses at a Domain Registry. The Message Node knows only that this runtime follows
// them, and forgets that when it restarts. So this package keeps which hyperty follows what, and subscribes again.
package apps
