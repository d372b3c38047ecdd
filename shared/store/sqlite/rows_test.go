//go:build !race

package sqlite

// manyRows are enough to tell O(page) from O(offset).
const manyRows = 200_000
