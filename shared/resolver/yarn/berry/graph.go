package berry

import (
	"strings"

	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

// runtimeEntries are the entries that the packages of the repository reach without their devDependencies. The walk
// starts from what their package.json files need and goes through the lockfile's dependencies. Where Yarn has put
// another range in the place of one (resolutions, packageExtensions, catalogs), all entries of that name are taken
// for meant: one dependency too many at run time is better than one that is missing there.
func (p *Project) runtimeEntries() map[*entry]bool {
	w := runtimeWalk{lock: p.lock, reached: map[*entry]bool{}, named: map[string]bool{}}
	for _, m := range p.members {
		w.need(m.manifest.runtime)
	}
	for len(w.queue) > 0 {
		e := w.queue[len(w.queue)-1]
		w.queue = w.queue[:len(w.queue)-1]
		switch e.locator.protocol {
		case "workspace:": // its entry lists devDependencies as well; it is a member
		case "patch:":
			w.reach(p.lock.byResolution[e.locator.source])
			w.need(e.needs)
		default:
			w.need(e.needs)
		}
	}
	return w.reached
}

type runtimeWalk struct {
	lock    *lockfile
	reached map[*entry]bool
	named   map[string]bool // all entries of the name were reached
	queue   []*entry
}

func (w *runtimeWalk) need(keys []string) {
	for _, key := range keys {
		if exact := w.lock.find(key); len(exact) > 0 {
			for _, e := range exact {
				w.reach(e)
			}
			continue
		}
		if name, _ := lines.SplitKey(key); !w.named[name] {
			w.named[name] = true
			for _, e := range w.lock.byName[name] {
				w.reach(e)
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

// find are the entries of "name@range". Yarn 3 and newer write "npm:" before ranges in keys, and leave it out in
// package.json files, and Yarn 3 among the dependencies as well.
func (l *lockfile) find(key string) []*entry {
	if found := l.byKey[key]; len(found) > 0 {
		return found
	}
	name, spec := lines.SplitKey(key)
	if strings.Contains(spec, ":") {
		return nil
	}
	return l.byKey[name+"@npm:"+spec]
}
