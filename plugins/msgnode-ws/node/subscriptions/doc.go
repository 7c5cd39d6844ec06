// Package subscriptions is the Message Node's subscription manager: runtimes subscribe addresses, and get what is sent there
// (specification, "Subscription manager").
package subscriptions
