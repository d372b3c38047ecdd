// Package contentmanifest makes image content manifests (ICM): what a container image was built from, in
// the form that atomic-reactor adds to and validates. No key may be added to it.
package contentmanifest

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

// Spec is the schema that the document names.
const Spec = "https://raw.githubusercontent.com/containerbuildsystem/atomic-reactor/f4abcfdaf8247a6b074f94fa84f3846f82d781c6/atomic_reactor/schemas/content_manifest.json"

type metadata struct {
	Spec            string `json:"icm_spec"`
	Version         int    `json:"icm_version"`
	ImageLayerIndex int    `json:"image_layer_index"`
}

type entry struct {
	Dependencies []component `json:"dependencies"`
	PURL         string      `json:"purl"`
	Sources      []component `json:"sources"`
	rank         int
}

type component struct {
	PURL string `json:"purl"`
}

// Write makes the manifest of several requests (in id order) and writes it: an entry for each package
// whose type has contents, everything sorted by purl. *purl.Error when a purl cannot be made.
func Write(w io.Writer, requests []packages.Context, rules packages.Rules) error {
	entries, err := entriesOf(requests, rules)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(`{"image_contents": [`)
	for i, e := range entries {
		if i > 0 {
			b.WriteString(", ")
		}
		raw, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("content manifest: %w", err)
		}
		b.Write(raw)
	}
	raw, err := json.Marshal(metadata{Spec: Spec, Version: 1, ImageLayerIndex: -1})
	if err != nil {
		return fmt.Errorf("content manifest: %w", err)
	}
	fmt.Fprintf(b, `], "metadata": %s}`+"\n", raw)
	return b.Flush()
}

func entriesOf(requests []packages.Context, rules packages.Rules) ([]entry, error) {
	var all []entry
	for _, c := range requests {
		var list []entry
		for _, p := range c.Packages {
			rule, ok := rules[p.Type]
			if !ok || rule.Contents == nil {
				continue
			}
			purl, err := rule.PackagePURL(c, p)
			if err != nil {
				return nil, err
			}
			dependencies, sources := rule.Contents(c, p)
			e := entry{PURL: purl, rank: rule.ManifestRank}
			if e.Dependencies, err = components(c, dependencies, rules); err != nil {
				return nil, err
			}
			if e.Sources, err = components(c, sources, rules); err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		slices.SortStableFunc(list, func(a, b entry) int { return a.rank - b.rank })
		all = append(all, list...)
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.PURL, b.PURL) })
	return all, nil
}

func components(c packages.Context, list []packages.Owned, rules packages.Rules) ([]component, error) {
	out := make([]component, 0, len(list))
	for _, o := range list {
		rule, ok := rules[o.Dependency.Type]
		if !ok {
			continue
		}
		purl, err := rule.DependencyPURL(c, o.Owner, o.Dependency)
		if err != nil {
			return nil, err
		}
		out = append(out, component{purl})
	}
	slices.SortStableFunc(out, func(a, b component) int { return strings.Compare(a.PURL, b.PURL) })
	return out, nil
}
