package pnpm

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
)

const lockfileName = "pnpm-lock.yaml"

// Bounds of a lockfile. Those of the largest monorepos have 5 MB and 5,000 packages.
const (
	// MaxLockfileBytes bounds one lockfile. It is read as a stream.
	MaxLockfileBytes = 128 << 20
	// MaxEntries bounds the packages of all lockfiles of a request.
	MaxEntries = 60_000
	// maxEdges bounds the dependencies of all snapshots and importers of a lockfile.
	maxEdges = 4_000_000
	// maxImporters bounds the projects of a workspace.
	maxImporters = 10_000
)

// lockfile is a pnpm-lock.yaml: one YAML document, or two since pnpm 11, which writes what belongs to pnpm
// itself (configDependencies, packageManagerDependencies) into a first one.
type lockfile struct {
	path string
	// old: of version 6, which pnpm 8 writes; no other pnpm reads it.
	old       bool
	entries   []*entry
	importers []importer
	graph     graph
}

// entry is one of `packages`.
type entry struct {
	key string // peers cut
	// name and version as the key has them; version may be a URL. Both are the entry's own fields where a
	// lockfile of version 6 has no name in the key.
	name, version string
	// declared is the version of the package itself, where the key has a URL.
	declared   string
	resolution resolution
	line       int // of the key
	// file that has it, when it is not the lockfile.
	file string
	// at is where the resolution is, in bytes of the file, with the end of its last line; to is 0 where it cannot be
	// replaced alone.
	at span
}

type span struct{ from, to int64 }

// resolution says where a package is and what it must hash to.
type resolution struct {
	integrity, tarball string
	kind               string // `type`: "", "git", "directory", or what is not supported
	directory          string
	repo, commit       string
	// path is the folder in the repository, of git and of a forge's archive.
	path string
}

// importer is a project of the workspace. Its dependencies are ids of the graph.
type importer struct {
	dir          string
	runtime, dev []int32
}

// graph has the dependencies of packages, by their keys without peers.
type graph struct {
	ids   map[string]int32
	keys  []string
	needs [][]int32
	edges int
}

func (g *graph) id(key string) int32 {
	if n, ok := g.ids[key]; ok {
		return n
	}
	if g.ids == nil {
		g.ids = map[string]int32{}
	}
	n := int32(len(g.keys))
	key = strings.Clone(key) // it may be a piece of a chunk of the file
	g.ids[key] = n
	g.keys = append(g.keys, key)
	g.needs = append(g.needs, nil)
	return n
}

// runtimeKeys are the packages that some project needs for more than its development.
func (l *lockfile) runtimeKeys() map[string]bool {
	seen := make([]bool, len(l.graph.keys))
	var todo []int32
	for _, i := range l.importers {
		todo = append(todo, i.runtime...)
	}
	out := map[string]bool{}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		out[l.graph.keys[n]] = true
		todo = append(todo, l.graph.needs[n]...)
	}
	return out
}

var lockfileVersionPattern = regexp.MustCompile(`^([0-9]{1,3})\.[0-9]{1,3}$`)

// oldMajor is the version of pnpm 8's lockfiles.
const oldMajor = 6

// checkVersion gives the major version. Lockfiles of pnpm 8 have 6, those of 9 to 12 have 9.
func checkVersion(version string) (int, error) {
	if m := lockfileVersionPattern.FindStringSubmatch(version); m != nil {
		if major, err := strconv.Atoi(m[1]); err == nil && oldMajor <= major && major <= 9 {
			return major, nil
		}
	}
	return 0, fault.Client(fault.UnsupportedFeature, "Unsupported lockfileVersion: '%.40s'", version)
}
