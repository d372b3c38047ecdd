// Package sbom makes software bills of materials of packages data.
package sbom

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/cachito-serverless/cachito/shared/packages"
)

type component struct {
	Name    string `json:"name"`
	PURL    string `json:"purl"`
	Type    string `json:"type"`
	Version string `json:"version,omitempty"`
}

// CycloneDX writes Cachito's form of CycloneDX 1.4 for several requests: every package and dependency
// of a type with a rule, once, sorted by purl, name and version (none first). Clients validate it:
// nothing else may appear. *purl.Error when a purl cannot be made.
func CycloneDX(w io.Writer, requests []packages.Context, rules packages.Rules) error {
	g := graph{rules: rules, requests: make([]Request, len(requests))}
	for i, c := range requests {
		g.requests[i].Context = c
	}
	if err := g.collect(); err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(`{"bomFormat": "CycloneDX", "components": [`)
	for i, n := range g.nodes {
		if i > 0 {
			b.WriteString(", ")
		}
		raw, err := json.Marshal(component{Name: n.name, PURL: n.purl, Type: "library", Version: n.version})
		if err != nil {
			return fmt.Errorf("SBOM: %w", err)
		}
		if _, err := b.Write(raw); err != nil {
			return err
		}
	}
	b.WriteString(`], "specVersion": "1.4", "version": 1}` + "\n")
	return b.Flush()
}
