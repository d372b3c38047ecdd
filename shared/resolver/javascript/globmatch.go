package javascript

import (
	"slices"
	"strings"
)

// matchPath reports whether the pattern, its "!" left aside, matches a path, given as its elements. An empty
// element at the path's end stands for a slash there. With partial, it is enough that the path may be the
// beginning of one that matches.
func (g *glob) matchPath(elements []string, partial bool) bool {
	return slices.ContainsFunc(g.alternatives, func(pattern []globSegment) bool { return matchSegments(pattern, elements, partial) })
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

// matchSegments matches a path with a pattern without braces.
func matchSegments(pattern []globSegment, path []string, partial bool) bool {
	switch stars := countGlobstars(pattern); {
	case stars == 0:
		return matchPlain(pattern, path, partial)
	case stars <= 2: // as good as all patterns
		return matchFew(pattern, path, partial)
	}
	return matchMany(pattern, path, partial)
}

// matchFew tries all ways to divide the path among the "**"; they must be few.
func matchFew(pattern []globSegment, path []string, partial bool) bool {
	for i, segment := range pattern {
		switch {
		case i == len(path):
			return partial || segment.globstar && i < len(pattern)-1 && matchFew(pattern[i+1:], nil, false)
		case segment.globstar:
			rest := path[i:]
			if i == len(pattern)-1 {
				return !slices.ContainsFunc(rest, isDots)
			}
			for {
				if matchFew(pattern[i+1:], rest, partial) {
					return true
				}
				if len(rest) == 0 || isDots(rest[0]) {
					return false
				}
				rest = rest[1:]
			}
		case !segment.match(path[i]):
			return false
		}
	}
	n := len(pattern)
	return len(path) == n || len(path) == n+1 && path[n] == ""
}

func isDots(element string) bool { return element == "." || element == ".." }

// matchMany follows all places of the path where the pattern may have come to, side by side.
func matchMany(pattern []globSegment, path []string, partial bool) bool {
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
				for to < len(path) && !isDots(path[to]) {
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

func countGlobstars(pattern []globSegment) int {
	n := 0
	for _, s := range pattern {
		if s.globstar {
			n++
		}
	}
	return n
}

func hasGlobstar(pattern []globSegment) bool { return countGlobstars(pattern) > 0 }

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
	if first := s.nodes[0]; first.kind == 'c' && !strings.HasPrefix(element, string(first.char)) {
		return false
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
