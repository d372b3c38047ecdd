package javascript

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// Bounds of workspaces. Monorepos have some hundred members.
const (
	MaxWorkspacePatterns = 1000
	MaxWorkspaces        = 10_000
	// maxWorkspaceFolders bounds the folders that are looked into on the way.
	maxWorkspaceFolders = 200_000
	// maxLinkHops is how many links a path may lead through; kernels stop at 40.
	maxLinkHops = 40
)

// WorkspacePatterns reads `workspaces` of a package.json: a list of patterns, or {"packages": [patterns]}.
// Nothing and null are no patterns. The fault is the client's, InvalidFileFormat; where names the file.
func WorkspacePatterns(where string, raw json.RawMessage) ([]string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		var object struct {
			Packages []string `json:"packages"`
		}
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, fault.Client(fault.InvalidFileFormat,
				`%s: "workspaces" must be a list of patterns, or an object with such a list as "packages"`, where).Because(err)
		}
		list = object.Packages
	}
	if len(list) > MaxWorkspacePatterns {
		return nil, fault.Client(fault.UnsupportedFeature, `%s: "workspaces" has %d patterns, the limit is %d`, where, len(list), MaxWorkspacePatterns)
	}
	return list, nil
}

// FindWorkspaces gives the folders that the patterns mean and that hold a package.json, relative to the
// package's own folder dir, sorted. A pattern that begins with "!" takes folders of the patterns before it
// out again. node_modules is never looked into, "**" does not follow links, so that cyclic ones are
// harmless.
//
// A member that leads out of the package's folder, by ".." or by links, is a fault of the client's
// (InvalidRepoStructure), and so is too many of anything (UnsupportedFeature).
func FindWorkspaces(source *os.Root, dir string, patterns []string) ([]string, error) {
	real, err := RealPath(source, dir)
	if err != nil {
		return nil, fault.Client(fault.InvalidRepoStructure, "The path %s leads out of the repository", dir).Because(err)
	}
	s := &workspaceSearch{source: source, dir: real, found: map[string]bool{}}
	for _, pattern := range patterns {
		if err := s.add(pattern); err != nil {
			return nil, err
		}
	}
	var out []string
	for folder, in := range s.found {
		if in {
			out = append(out, folder)
		}
	}
	if len(out) > MaxWorkspaces {
		return nil, fault.Client(fault.UnsupportedFeature, "The package has %d workspaces, the limit is %d", len(out), MaxWorkspaces)
	}
	slices.Sort(out)
	return out, nil
}

type workspaceSearch struct {
	source  *os.Root
	dir     string          // of the package, relative to the source, links followed; "" for the root
	found   map[string]bool // folder relative to the package -> still a member
	looked  int
	current *glob
}

func (s *workspaceSearch) add(pattern string) error {
	g, err := parseGlob(cleanPattern(pattern), false)
	if err != nil {
		return fault.Client(fault.UnsupportedFeature, "The workspaces of package.json cannot be read: %s", err)
	}
	if g.negate {
		for folder := range s.found {
			if g.matchPath(strings.Split(folder, "/"), false) {
				s.found[folder] = false
			}
		}
		return nil
	}
	for _, segments := range g.alternatives {
		for _, segment := range segments {
			if !segment.magic && segment.literal == ".." {
				return outsideWorkspace(cleanPattern(pattern))
			}
		}
	}
	s.current = g
	return s.walk("", 0)
}

// cleanPattern drops "./" and slashes at either end: "./packages/*/" is "packages/*".
func cleanPattern(pattern string) string {
	bare := strings.TrimLeft(pattern, "!")
	negation := pattern[:len(pattern)-len(bare)]
	for {
		shorter := strings.TrimPrefix(strings.TrimLeft(bare, "/"), "./")
		if shorter == bare {
			return negation + strings.TrimRight(bare, "/")
		}
		bare = shorter
	}
}

func outsideWorkspace(folder string) error {
	return fault.Client(fault.InvalidRepoStructure, "Workspace path leads outside the package root: %s/package.json", folder)
}

// walk looks at the folders right below one, which is relative to the package. links counts the links that
// led to it.
func (s *workspaceSearch) walk(folder string, links int) error {
	if s.looked++; s.looked > maxWorkspaceFolders {
		return fault.Client(fault.UnsupportedFeature, "Looking for workspaces, %d folders were looked into, the limit", maxWorkspaceFolders)
	}
	entries, err := s.entries(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name == "node_modules" || name == ".git" {
			continue
		}
		child := path.Join(folder, e.Name())
		switch {
		case e.IsDir():
			err = s.visit(child, s.current.leadsTo(child), links)
		case e.Type()&fs.ModeSymlink != 0 && links < maxLinkHops:
			err = s.visitLink(child, links+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// visit looks at a folder that may be a member, and below it.
func (s *workspaceSearch) visit(folder string, deeper bool, links int) error {
	if s.current.matchPath(strings.Split(folder, "/"), false) {
		if err := s.member(folder); err != nil {
			return err
		}
	}
	if deeper {
		return s.walk(folder, links)
	}
	return nil
}

// visitLink visits a link to a folder. "**" does not lead through one.
func (s *workspaceSearch) visitLink(link string, links int) error {
	deeper := s.current.namesNext(link)
	if !deeper && !s.current.matchPath(strings.Split(link, "/"), false) {
		return nil
	}
	isFolder, err := s.followLink(link)
	if err != nil || !isFolder {
		return err
	}
	return s.visit(link, deeper, links)
}

// leadsTo reports whether the pattern may match something below the folder.
func (g *glob) leadsTo(folder string) bool {
	elements := strings.Split(folder, "/")
	return slices.ContainsFunc(g.alternatives, func(pattern []globSegment) bool {
		return (len(pattern) > len(elements) || hasGlobstar(pattern)) && matchSegments(pattern, elements, true)
	})
}

// namesNext is leadsTo without the help of "**".
func (g *glob) namesNext(folder string) bool {
	elements := strings.Split(folder, "/")
	for _, pattern := range g.alternatives {
		if len(pattern) <= len(elements) {
			continue
		}
		head := pattern[:len(elements)+1]
		if !hasGlobstar(head) && matchPlain(head[:len(elements)], elements, false) {
			return true
		}
	}
	return false
}

func (s *workspaceSearch) entries(folder string) ([]fs.DirEntry, error) {
	f, err := s.source.Open(path.Join(".", s.dir, folder))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path.Join(s.dir, folder), err)
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", path.Join(s.dir, folder), err)
	}
	return entries, nil
}

// member adds a folder that has a package.json.
func (s *workspaceSearch) member(folder string) error {
	full := path.Join(s.dir, folder, "package.json")
	if _, err := s.source.Stat(full); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if real, err := RealPath(s.source, full); err != nil || !insideFolder(s.dir, real) {
		return outsideWorkspace(folder)
	}
	s.found[folder] = true
	return nil
}

// followLink reports whether a link leads to a folder that may be looked into. One that leads out of the
// package is a fault if a workspace is there, or if nobody can tell.
func (s *workspaceSearch) followLink(link string) (bool, error) {
	full := path.Join(s.dir, link)
	info, err := s.source.Stat(full)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return false, nil
	}
	real, outside := RealPath(s.source, full)
	if outside == nil && insideFolder(s.dir, real) || errors.Is(outside, errLinkLoop) {
		return err == nil, nil
	}
	if _, err := s.source.Stat(path.Join(full, "package.json")); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, outsideWorkspace(link)
}

func insideFolder(dir, name string) bool {
	return dir == "." || dir == "" || name == dir || strings.HasPrefix(name, dir+"/")
}

var (
	errLeavesTree = errors.New("the path leads out of the tree")
	errLinkLoop   = errors.New("the path leads through too many links")
)

// RealPath follows the links of a path of the tree; what does not exist is as it is written.
func RealPath(tree *os.Root, name string) (string, error) {
	rest := strings.Split(path.Clean(name), "/")
	real := ""
	for hops := 0; len(rest) > 0; {
		element := rest[0]
		rest = rest[1:]
		switch element {
		case "", ".":
			continue
		case "..":
			if real == "" {
				return "", errLeavesTree
			}
			if real = path.Dir(real); real == "." {
				real = ""
			}
			continue
		}
		next := path.Join(real, element)
		target, err := tree.Readlink(next)
		if err != nil { // no link
			real = next
			continue
		}
		if path.IsAbs(target) {
			return "", errLeavesTree
		}
		if hops++; hops > maxLinkHops {
			return "", errLinkLoop
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return real, nil
}
