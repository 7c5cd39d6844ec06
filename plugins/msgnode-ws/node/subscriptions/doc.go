// Package subscriptions is the Message Node's subscription manager: runtimes subscribe to addresses, and get what is sent there
// (specification, "Subscription manager").
package subscriptions
