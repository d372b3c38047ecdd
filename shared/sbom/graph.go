package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"

	"github.com/cachito-serverless/cachito/shared/packages"
)

// node is a component: a package of a repository, a dependency, or both. Purl, name and version tell it
// from the others, as in the default format.
type node struct {
	purl, name, version string
	files               *files // nil: nothing is known
	types               uint32 // bits of graph.types
	roles               role
}

// files are what stands for a dependency in the bundle.
type files struct{ sha256 []string }

// role says what a node was found as. A node may have several.
type role uint8

const (
	ofRepository role = 1 << iota // a package of a request's repository
	runtime                       // a dependency that is no development one
	development                   // a development dependency
	undecided                     // a dependency of a package manager that does not know which
	bundled                       // delivered inside another dependency
	unverified                    // no lockfile held its digest
)

func compareNodes(a, b node) int {
	return cmp.Or(strings.Compare(a.purl, b.purl), strings.Compare(a.name, b.name), strings.Compare(a.version, b.version))
}

// developmentOnly reports whether nothing but development needs the node.
func (n *node) developmentOnly() bool {
	return n.roles&development != 0 && n.roles&(ofRepository|runtime|undecided) == 0
}

// sha256 lists the digests of the node's files.
func (n *node) sha256() []string {
	if n.files == nil {
		return nil
	}
	return n.files.sha256
}

// id is the node's name inside documents: readable, unique, the same in every document that has the node, and
// made of letters, digits, "." and "-" alone, whatever the names are. The hash is long enough for names made
// by an enemy.
func (n *node) id() string {
	h := sha256.New()
	for _, text := range []string{n.purl, n.name, n.version} {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	return readable(n.name) + "-" + hex.EncodeToString(h.Sum(nil)[:16])
}

// maxReadable bounds the part of an id that is there for people.
const maxReadable = 40

func readable(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if b.Len() == maxReadable {
			break
		}
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' {
			b.WriteByte(c)
		} else {
			b.WriteByte('-')
		}
	}
	return cmp.Or(strings.Trim(b.String(), "-"), "component")
}

// graph is what a document says: nodes, sorted, and how they belong together.
type graph struct {
	requests []Request
	rules    packages.Rules
	types    []string // package types, sorted; the bits of node.types
	nodes    []node
	owners   []owner // sorted by node, then request and package
}

// owner is a package of a request, and the node that stands for it.
type owner struct{ node, request, pkg int32 }

// edge leads from an owner to one of its dependencies.
type edge struct {
	to  int32
	dev bool
}

// firstMerge is how many nodes are collected before equal ones are merged for the first time. The packages
// of a large Go repository name the same few hundred modules half a million times.
const firstMerge = 16 << 10

func graphOf(requests []Request, rules packages.Rules) (graph, error) {
	g := graph{requests: requests, rules: rules}
	if err := g.collect(); err != nil {
		return graph{}, err
	}
	for _, r := range requests {
		g.attach(r.Artifacts)
	}
	return g, g.findOwners()
}

// collect finds the nodes.
func (g *graph) collect() error {
	for name := range g.rules {
		g.types = append(g.types, name)
	}
	slices.Sort(g.types)
	limit := firstMerge
	for r := range g.requests {
		for p := range g.requests[r].Packages {
			err := g.visit(r, p, func(n node) {
				g.nodes = append(g.nodes, n)
				if len(g.nodes) >= limit {
					g.merge()
					limit = max(firstMerge, 2*len(g.nodes))
				}
			})
			if err != nil {
				return err
			}
		}
	}
	g.merge()
	g.nodes = append(make([]node, 0, len(g.nodes)), g.nodes...) // no spare room
	return nil
}

// visit makes the nodes of a package and of its dependencies, the package's first.
func (g *graph) visit(request, pkg int, yield func(node)) error {
	c := g.requests[request].Context
	p := &c.Packages[pkg]
	rule, ok := g.rules[p.Type]
	if !ok {
		return nil
	}
	at, _ := slices.BinarySearch(g.types, p.Type)
	types := uint32(1) << at // of the first 32 types; there are ten
	purl, err := rule.PackagePURL(c, *p)
	if err != nil {
		return err
	}
	yield(node{purl: purl, name: p.Name, version: packages.Deref(p.Version), types: types, roles: ofRepository})
	for i := range p.Dependencies {
		d := &p.Dependencies[i]
		if d.Type != p.Type {
			continue
		}
		purl, err := rule.DependencyPURL(c, *p, *d)
		if err != nil {
			return err
		}
		version := d.Version
		if rule.DependencyVersion != nil {
			version = rule.DependencyVersion(c, *p, *d)
		}
		yield(node{purl: purl, name: d.Name, version: packages.Deref(version), types: types, roles: rolesOf(*d)})
	}
	return nil
}

func rolesOf(d packages.Dependency) role {
	roles := runtime
	switch {
	case d.Dev == nil:
		roles = undecided
	case *d.Dev:
		roles = development
	}
	if d.Bundled != nil && *d.Bundled {
		roles |= bundled
	}
	return roles
}

// merge sorts the nodes and makes equal ones one, with the roles of all.
func (g *graph) merge() {
	slices.SortFunc(g.nodes, compareNodes)
	kept := 0
	for i, n := range g.nodes {
		if i > 0 && compareNodes(g.nodes[kept-1], n) == 0 {
			g.nodes[kept-1].roles |= n.roles
			g.nodes[kept-1].types |= n.types
			continue
		}
		g.nodes[kept] = n
		kept++
	}
	clear(g.nodes[kept:])
	g.nodes = g.nodes[:kept]
}

// attach tells the nodes what is known of their files.
func (g *graph) attach(artifacts []packages.Artifact) {
	for _, a := range artifacts {
		first := sort.Search(len(g.nodes), func(i int) bool { return g.nodes[i].purl >= a.PURL })
		for i := first; i < len(g.nodes) && g.nodes[i].purl == a.PURL; i++ {
			n := &g.nodes[i]
			if a.Unverified {
				n.roles |= unverified
			}
			switch {
			case len(a.SHA256) == 0:
			case n.files == nil:
				n.files = &files{a.SHA256}
			case !slices.Equal(n.files.sha256, a.SHA256): // another request got another file
				n.files.sha256 = slices.Compact(slices.Sorted(slices.Values(slices.Concat(n.files.sha256, a.SHA256))))
			}
		}
	}
}

// find is the place of a node that is there.
func (g *graph) find(n node) int32 {
	at, _ := slices.BinarySearchFunc(g.nodes, n, compareNodes)
	return int32(at)
}

func (g *graph) findOwners() error {
	for r := range g.requests {
		c := g.requests[r].Context
		for i := range c.Packages {
			p := &c.Packages[i]
			rule, ok := g.rules[p.Type]
			if !ok {
				continue
			}
			purl, err := rule.PackagePURL(c, *p)
			if err != nil {
				return err
			}
			at := g.find(node{purl: purl, name: p.Name, version: packages.Deref(p.Version)})
			g.owners = append(g.owners, owner{at, int32(r), int32(i)})
		}
	}
	slices.SortFunc(g.owners, func(a, b owner) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.request, b.request), cmp.Compare(a.pkg, b.pkg))
	})
	return nil
}

// packagesOf are the nodes of a request's own packages, sorted.
func (g *graph) packagesOf(request int) []int32 {
	var list []int32
	for _, o := range g.owners {
		if int(o.request) == request && (len(list) == 0 || list[len(list)-1] != o.node) {
			list = append(list, o.node)
		}
	}
	return list
}

// edges yields each node that is a package of a repository with what it depends on, in the nodes' order: each
// dependency once, or twice when it is needed for development and otherwise. The list is used again.
func (g *graph) edges() iter.Seq2[int32, []edge] {
	return func(yield func(int32, []edge) bool) {
		var list []edge
		for i, o := range g.owners {
			first := true
			// The purls were made before, so that there is no error; the package itself comes first.
			_ = g.visit(int(o.request), int(o.pkg), func(n node) {
				if to := g.find(n); !first && to != o.node { // a module may name itself
					list = append(list, edge{to, n.roles&development != 0})
				}
				first = false
			})
			if i+1 < len(g.owners) && g.owners[i+1].node == o.node {
				continue // more of the same node
			}
			slices.SortFunc(list, func(a, b edge) int { return cmp.Or(cmp.Compare(a.to, b.to), compareBools(a.dev, b.dev)) })
			list = slices.Compact(list)
			if !yield(o.node, list) {
				return
			}
			list = list[:0]
		}
	}
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
