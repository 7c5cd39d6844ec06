// Package figures has the results of a benchmark: rows of figures, each with its baseline and its demand, and a table, JSON and a
// plot of them.
package figures
