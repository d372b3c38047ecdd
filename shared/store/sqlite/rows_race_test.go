//go:build race

package sqlite

// manyRows are fewer under the race detector, which makes the database, a translation of C, some fifty
// times slower.
const manyRows = 20_000
