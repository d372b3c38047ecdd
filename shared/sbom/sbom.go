// Package sbom makes software bills of materials of packages data.
package sbom

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

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
	list, err := componentsOf(requests, rules)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(`{"bomFormat": "CycloneDX", "components": [`)
	for i, c := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		raw, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("SBOM: %w", err)
		}
		b.Write(raw)
	}
	b.WriteString(`], "specVersion": "1.4", "version": 1}` + "\n")
	return b.Flush()
}

func componentsOf(requests []packages.Context, rules packages.Rules) ([]component, error) {
	seen := map[component]bool{}
	var list []component
	add := func(name, purl string, version *string) {
		c := component{Name: name, PURL: purl, Type: "library", Version: packages.Deref(version)}
		if !seen[c] {
			seen[c] = true
			list = append(list, c)
		}
	}
	for _, c := range requests {
		for _, p := range c.Packages {
			rule, ok := rules[p.Type]
			if !ok {
				continue
			}
			purl, err := rule.PackagePURL(c, p)
			if err != nil {
				return nil, err
			}
			add(p.Name, purl, p.Version)
			for _, o := range p.Own() {
				d := *o.Dependency
				purl, err := rule.DependencyPURL(c, p, d)
				if err != nil {
					return nil, err
				}
				version := d.Version
				if rule.DependencyVersion != nil {
					version = rule.DependencyVersion(c, p, d)
				}
				add(d.Name, purl, version)
			}
		}
	}
	slices.SortFunc(list, func(a, b component) int {
		return cmp.Or(strings.Compare(a.PURL, b.PURL), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	return list, nil
}
