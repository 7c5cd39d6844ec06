// Package deliver takes the messages of a remote runtime out of batches and gives them to their listeners: in runs where they
// are alike, one by one where a listener leaves some, and through a queue of its own where a destination is behind.
package deliver
