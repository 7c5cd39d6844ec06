// Package figures holds what a benchmark has found: rows of figures, each beside what it is compared with and what is
// demanded of it; a table, JSON and a plot of them.
package figures
