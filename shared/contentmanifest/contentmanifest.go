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

// place is where an entry stands in the document, and the package that it is made from.
type place struct {
	purl    string
	rank    int
	context packages.Context
	pkg     *packages.Package
}

// Write makes the manifest of several requests (in id order) and writes it: an entry for each package
// whose type has contents, everything sorted by purl. *purl.Error when a purl cannot be made; then nothing
// was written.
//
// The packages are gone over twice, first to see whether every purl can be made, then to write list by list:
// those of a large Go repository repeat the same few hundred modules thousands of times, which is hundreds of
// megabytes at once.
func Write(w io.Writer, requests []packages.Context, rules packages.Rules) error {
	places, err := placesOf(requests, rules)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(`{"image_contents": [`)
	for i, p := range places {
		if i > 0 {
			b.WriteString(", ")
		}
		if err := writeEntry(b, p, rules); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(metadata{Spec: Spec, Version: 1, ImageLayerIndex: -1})
	if err != nil {
		return fmt.Errorf("content manifest: %w", err)
	}
	fmt.Fprintf(b, `], "metadata": %s}`+"\n", raw)
	return b.Flush()
}

func writeEntry(b *bufio.Writer, p place, rules packages.Rules) error {
	dependencies, sources := rules[p.pkg.Type].Contents(p.context, *p.pkg)
	b.WriteString(`{"dependencies":[`)
	if err := writePURLs(b, p.context, dependencies, rules); err != nil {
		return err
	}
	b.WriteString(`],"purl":`)
	if err := writeText(b, p.purl); err != nil {
		return err
	}
	b.WriteString(`,"sources":[`)
	if err := writePURLs(b, p.context, sources, rules); err != nil {
		return err
	}
	_, err := b.WriteString("]}")
	return err
}

// writePURLs writes the purls of a list, sorted; no other is held meanwhile.
func writePURLs(b *bufio.Writer, c packages.Context, list []packages.Owned, rules packages.Rules) error {
	purls := make([]string, 0, len(list))
	err := eachPURL(c, list, rules, func(purl string) { purls = append(purls, purl) })
	if err != nil {
		return err
	}
	slices.Sort(purls)
	for i, purl := range purls {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"purl":`)
		if err := writeText(b, purl); err != nil {
			return err
		}
		b.WriteByte('}')
	}
	return nil
}

func writeText(b *bufio.Writer, text string) error {
	raw, err := json.Marshal(text)
	if err != nil {
		return fmt.Errorf("content manifest: %w", err)
	}
	_, err = b.Write(raw)
	return err
}

// placesOf puts the packages that have an entry in order, and sees that all their purls can be made.
func placesOf(requests []packages.Context, rules packages.Rules) ([]place, error) {
	var all []place
	for _, c := range requests {
		first := len(all)
		for i := range c.Packages {
			p := &c.Packages[i]
			rule, ok := rules[p.Type]
			if !ok || rule.Contents == nil {
				continue
			}
			purl, err := rule.PackagePURL(c, *p)
			if err != nil {
				return nil, err
			}
			dependencies, sources := rule.Contents(c, *p)
			for _, list := range [][]packages.Owned{dependencies, sources} {
				if err := eachPURL(c, list, rules, func(string) {}); err != nil {
					return nil, err
				}
			}
			all = append(all, place{purl, rule.ManifestRank, c, p})
		}
		slices.SortStableFunc(all[first:], func(a, b place) int { return cmp.Compare(a.rank, b.rank) })
	}
	slices.SortStableFunc(all, func(a, b place) int { return strings.Compare(a.purl, b.purl) })
	return all, nil
}

// eachPURL makes the purls of the dependencies whose type has a rule.
func eachPURL(c packages.Context, list []packages.Owned, rules packages.Rules, yield func(purl string)) error {
	for _, o := range list {
		rule, ok := rules[o.Dependency.Type]
		if !ok {
			continue
		}
		purl, err := rule.DependencyPURL(c, *o.Owner, *o.Dependency)
		if err != nil {
			return err
		}
		yield(purl)
	}
	return nil
}
