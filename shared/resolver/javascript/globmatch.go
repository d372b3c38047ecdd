package javascript

import (
	"slices"
	"strings"
)

// match reports whether the pattern, its "!" left aside, matches a path. A pattern without a slash matches the
// last element of any path. A slash at the path's end stands for a folder. With partial, it is enough that
// the path may be the beginning of one that matches.
func (g *glob) match(name string, partial bool) bool {
	if g.ignoreCase {
		name = strings.ToLower(name)
	}
	elements := splitSlashes(name)
	return g.matchElements(elements, partial, true)
}

// matchPath is match for a whole path: a pattern without a slash matches paths of one element only.
func (g *glob) matchPath(elements []string, partial bool) bool {
	return g.matchElements(elements, partial, false)
}

func (g *glob) matchElements(elements []string, partial, byBase bool) bool {
	for _, pattern := range g.alternatives {
		path := elements
		if byBase && len(pattern) == 1 {
			path = lastElement(elements)
		}
		if matchSegments(pattern, path, partial) {
			return true
		}
	}
	return false
}

// relative reports whether the pattern names no folder but its own, so that it may match a last element.
func (g *glob) relative() bool {
	for _, p := range g.alternatives {
		last := p[len(p)-1]
		if n := len(p); n <= 1 || n == 2 && !last.magic && last.literal == "" {
			return true
		}
	}
	return false
}

// lastElement is the last one that is not empty.
func lastElement(elements []string) []string {
	for i := len(elements) - 1; i > 0; i-- {
		if elements[i] != "" {
			return elements[i : i+1]
		}
	}
	return elements[:1]
}

// matchSegments follows all places of the path where the pattern may have come to, side by side.
func matchSegments(pattern []globSegment, path []string, partial bool) bool {
	if !hasGlobstar(pattern) {
		return matchPlain(pattern, path, partial)
	}
	at := make([]bool, len(path)+1)
	at[0] = true
	for i, segment := range pattern {
		if at[len(path)] && partial {
			return true
		}
		next := make([]bool, len(path)+1)
		some := false
		for from, here := range at {
			if !here {
				continue
			}
			switch {
			case segment.globstar:
				// At the pattern's end it wants at least one element.
				to := from
				if i < len(pattern)-1 {
					next[to], some = true, true
				}
				for to < len(path) && path[to] != "." && path[to] != ".." {
					to++
					next[to], some = true, true
				}
			case from < len(path) && segment.match(path[from]):
				next[from+1], some = true, true
			}
		}
		if !some {
			return false
		}
		at = next
	}
	n := len(path)
	return at[n] || n > 0 && at[n-1] && path[n-1] == ""
}

func hasGlobstar(pattern []globSegment) bool {
	return slices.ContainsFunc(pattern, func(s globSegment) bool { return s.globstar })
}

// matchPlain is matchSegments without "**": one element for each segment.
func matchPlain(pattern []globSegment, path []string, partial bool) bool {
	for i, segment := range pattern {
		if i == len(path) {
			return partial
		}
		if !segment.match(path[i]) {
			return false
		}
	}
	n := len(pattern)
	return len(path) == n || len(path) == n+1 && path[n] == ""
}

// match reports whether one path element matches.
func (s globSegment) match(element string) bool {
	if !s.magic {
		return element == s.literal
	}
	if element == "" || element == "." || element == ".." {
		return false
	}
	if s.simple {
		return len(element) >= len(s.literal)+len(s.suffix) && strings.HasPrefix(element, s.literal) && strings.HasSuffix(element, s.suffix)
	}
	text := []rune(element)
	from := make([]bool, len(text)+1)
	from[0] = true
	return advance(s.nodes, text, from)[len(text)]
}

// advance gives the places behind the nodes, for all places before them.
func advance(nodes []globNode, text []rune, from []bool) []bool {
	for _, n := range nodes {
		next := make([]bool, len(text)+1)
		switch n.kind {
		case '*':
			reached := false
			for i := range next {
				reached = reached || from[i]
				next[i] = reached
			}
		case 'x':
			next = n.advance(text, from)
		default:
			for i, c := range text {
				next[i+1] = from[i] && (n.kind == '?' || n.kind == 'c' && n.char == c || n.kind == '[' && n.set.has(c))
			}
		}
		from = next
	}
	return from
}

// advance of an extended glob.
func (n globNode) advance(text []rune, from []bool) []bool {
	once := func(from []bool) []bool {
		out := make([]bool, len(text)+1)
		for _, a := range n.alternatives {
			for i, here := range advance(a, text, from) {
				out[i] = out[i] || here
			}
		}
		return out
	}
	switch n.extended {
	case '@':
		return once(from)
	case '!':
		out := make([]bool, len(text)+1)
		for start, here := range from {
			if !here {
				continue
			}
			single := make([]bool, len(text)+1)
			single[start] = true
			matched := once(single)
			for end := start; end <= len(text); end++ {
				out[end] = out[end] || !matched[end]
			}
		}
		return out
	}
	out := once(from)
	if n.extended != '?' {
		for more := true; more; {
			more = false
			for i, here := range once(out) {
				if here && !out[i] {
					out[i], more = true, true
				}
			}
		}
	}
	if n.extended != '+' {
		for i, here := range from {
			out[i] = out[i] || here
		}
	}
	return out
}
