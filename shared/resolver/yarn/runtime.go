package yarn

import (
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// runtimeEntries are the entries that the project or a workspace reaches without its devDependencies:
// starting from what their package.json names, through dependencies and optionalDependencies, by the
// lockfile's exact keys. `resolutions` of the project's package.json lead to the versions they force.
func (p *project) runtimeEntries() map[*entry]bool {
	w := runtimeWalk{lock: p.lock, forced: forcedKeys(p.manifest.resolutions), reached: map[*entry]bool{}}
	w.need("", p.manifest.needs)
	for _, ws := range p.workspaces {
		w.need("", ws.manifest.needs)
	}
	for len(w.queue) > 0 {
		e := w.queue[len(w.queue)-1]
		w.queue = w.queue[:len(w.queue)-1]
		name, _ := lines.SplitKey(e.keys[0])
		w.need(name, e.needs)
	}
	return w.reached
}

type runtimeWalk struct {
	lock    *lockfile
	forced  map[string][]forcedKey
	reached map[*entry]bool
	queue   []*entry
}

// need follows what an entry of that name ("" for a package of the repository) needs.
func (w *runtimeWalk) need(by string, keys []string) {
	for _, key := range keys {
		exact := w.lock.byKey[key]
		w.reach(exact)
		name, _ := lines.SplitKey(key)
		for _, f := range w.forced[name] {
			if exact == nil || f.applies(by) {
				w.reach(w.lock.byKey[f.key])
			}
		}
	}
}

func (w *runtimeWalk) reach(e *entry) {
	if e != nil && !w.reached[e] {
		w.reached[e] = true
		w.queue = append(w.queue, e)
	}
}

// forcedKey is what `resolutions` put in the place of a need.
type forcedKey struct {
	key    string // "name@spec" in the lockfile
	parent string // the name before it in the pattern, "**" or "" for any
}

// applies reports whether a need of a package with that name may be meant. Only the name next to it counts:
// one dependency too many at run time is better than one that is missing there.
func (f forcedKey) applies(by string) bool {
	return f.parent == "" || f.parent == "**" || f.parent == by
}

// forcedKeys reads `resolutions`, by the name that is forced.
//
//	"b": "1.0.0", "**/b": "1.0.0", "a/b": "1.0.0", "a/**/@s/b": "1.0.0"
func forcedKeys(resolutions map[string]string) map[string][]forcedKey {
	out := map[string][]forcedKey{}
	for pattern, spec := range resolutions {
		names := packagePath(pattern)
		if len(names) == 0 {
			continue
		}
		name := names[len(names)-1]
		f := forcedKey{key: name + "@" + spec}
		if len(names) > 1 {
			f.parent = names[len(names)-2]
		}
		out[name] = append(out[name], f)
	}
	return out
}

// packagePath splits "a/@s/b" into "a" and "@s/b".
func packagePath(pattern string) []string {
	var out []string
	for _, element := range strings.Split(pattern, "/") {
		if n := len(out); n > 0 && strings.HasPrefix(out[n-1], "@") && !strings.Contains(out[n-1], "/") {
			out[n-1] += "/" + element
			continue
		}
		out = append(out, element)
	}
	return out
}
