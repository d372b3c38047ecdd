package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/cachito-serverless/cachito/shared/client"
)

// printJSON prints JSON for people and programs alike: indented, one value.
func printJSON(w io.Writer, raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(raw), "", "  "); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err := b.WriteTo(w)
	return err
}

// summary is one line about a complete request.
func summary(req client.Request) string {
	return fmt.Sprintf("request %d is complete: %s, %s", req.ID,
		count(len(req.Packages), "package", "packages"), count(len(req.Dependencies), "dependency", "dependencies"))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// humanBytes prints a size with three digits or so: "1.2 MB" (powers of 1000).
func humanBytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n), []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	for i, unit := range units {
		value /= 1000
		if value < 999.95 || i == len(units)-1 {
			return fmt.Sprintf("%.1f %s", value, unit)
		}
	}
	return "" // not reached: the last unit always returns
}
