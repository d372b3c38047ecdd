package archive

import (
	"path"
	"slices"
	"strings"
)

// maxLinkChain is how many links may lead to each other; kernels stop at 40.
const maxLinkChain = 1000

// UnsafeLinks returns the paths of the links that lead out of the tree, sorted. The target of a link must
// be the tree's root or below it. Targets are resolved as a file system does: each link on the way is
// followed where it stands, and ".." is taken from the real place. An absolute target is unsafe
// whatever it names, and so is one that leaves the tree and comes back: the tree may be unpacked anywhere.
//
// Dangling links inside the tree are fine, and so are loops, which lead nowhere. All links are found
// before any is removed: of a chain that leaves the tree, every link is unsafe.
func UnsafeLinks(entries []TreeEntry) []string {
	links := map[string]string{}
	for _, e := range entries {
		if e.Mode == Link {
			links[e.Path] = e.Linkname
		}
	}
	return unsafeLinks(links)
}

// unsafeLinks does it for link targets by path.
func unsafeLinks(links map[string]string) []string {
	r := linkResolver{links: links, known: make(map[string]resolved, len(links))}
	var unsafe []string
	for link := range links {
		if r.resolve(link, 0).verdict == leaves {
			unsafe = append(unsafe, link)
		}
	}
	slices.Sort(unsafe)
	return unsafe
}

type verdict uint8

const (
	unknown verdict = iota
	resolving
	stays
	leaves
	loops
)

// resolved is where a link leads: to a place (relative to the root, "" for the root itself) if it stays.
type resolved struct {
	verdict verdict
	place   string
}

type linkResolver struct {
	links map[string]string
	known map[string]resolved
}

// resolve follows the link at a real path. A link that leads through a loop is part of it, in that no
// file system can follow it; so the answer does not depend on where one begins.
func (r *linkResolver) resolve(link string, depth int) resolved {
	if known := r.known[link]; known.verdict != unknown {
		if known.verdict == resolving {
			return resolved{verdict: loops}
		}
		return known
	}
	if depth > maxLinkChain {
		return resolved{verdict: leaves}
	}
	r.known[link] = resolved{verdict: resolving}
	found := r.follow(link, depth)
	r.known[link] = found
	return found
}

func (r *linkResolver) follow(link string, depth int) resolved {
	target := r.links[link]
	if strings.HasPrefix(target, "/") {
		return resolved{verdict: leaves}
	}
	place := parent(link)
	for element := range strings.SplitSeq(target, "/") {
		switch element {
		case "", ".":
		case "..":
			if place == "" {
				return resolved{verdict: leaves}
			}
			place = parent(place)
		default:
			place = path.Join(place, element)
			if _, ok := r.links[place]; !ok {
				continue
			}
			next := r.resolve(place, depth+1)
			if next.verdict != stays {
				return next
			}
			place = next.place
		}
	}
	return resolved{verdict: stays, place: place}
}

// parent is the directory of a path inside the tree; "" is the root.
func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}
