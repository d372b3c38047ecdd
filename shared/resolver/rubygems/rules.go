package rubygems

import (
	"errors"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
)

// locked is what one lockfile locks, checked.
type locked struct {
	registry []registryGem
	git      []gitGem
	local    []localGem
	// skipped are gems of other platforms whose platform-independent twin is locked too.
	skipped []string
}

// registryGem comes from the registry, as a file.
type registryGem struct {
	name, version string
	// want are the checksums of the lockfile; none when it has none.
	want []integrity.Digest
}

// gitGem is a gem in a git repository, at a commit.
type gitGem struct {
	name string
	tree gitTree
}

// gitTree is the tree of a commit; several gems may lie in it.
type gitTree struct {
	url        string // as locked, for fetching
	shown      string // without user info
	commit     string // 40 lower-case hex digits
	submodules bool
	names      []string // in Bundler's cache
}

// localGem lies in the request's repository.
type localGem struct {
	name string
	// path is the lockfile's, relative to it.
	path string
}

var commitPattern = regexp.MustCompile(`^[0-9a-fA-F]{40}$`)

// check applies Cachito's rules to a lockfile. remote is the only one that gems may come from. The faults are
// upstream's, word for word, where it has one.
func (l lockfile) check(remote string) (locked, error) {
	var out locked
	if !l.onlyRuby {
		return locked{}, fault.Client(fault.ValidationError, "PLATFORMS section of Gemfile.lock has to contain one and only platform - ruby.")
	}
	for _, src := range l.sources {
		gems := versioned(src.specs)
		if len(gems) == 0 {
			continue
		}
		var err error
		switch src.kind {
		case sectionGem:
			err = out.addRegistry(src, gems, l.checksums, remote)
		case sectionGit:
			err = out.addGit(src, gems)
		case sectionPath:
			err = out.addLocal(src, gems)
		default:
			err = fault.Client(fault.ValidationError, "Gemfile.lock contains unsupported dependency type.")
		}
		if err != nil {
			return locked{}, err
		}
	}
	return out, nil
}

// versioned leaves out gems that are only mentioned.
func versioned(specs []lockedGem) []lockedGem {
	var out []lockedGem
	for _, g := range specs {
		if g.version != "" {
			out = append(out, g)
		}
	}
	return out
}

func (l *locked) addRegistry(src lockedSource, gems []lockedGem, checksums map[string][]integrity.Digest, remote string) error {
	for _, r := range src.remotes {
		if r != remote {
			src.remotes = nil
		}
	}
	if len(src.remotes) == 0 {
		return fault.Client(fault.ValidationError, "Cachito supports only %s as a remote for Ruby GEM dependencies.", remote)
	}
	independent := map[lockedGem]bool{}
	for _, g := range gems {
		if g.platform == "" {
			independent[g] = true
		}
	}
	seen := map[lockedGem]bool{}
	for _, g := range gems {
		switch {
		case seen[g]:
		case g.platform == "":
			l.registry = append(l.registry, registryGem{name: g.name, version: g.version, want: checksums[g.fullName()]})
		case independent[lockedGem{name: g.name, version: g.version}]:
			l.skipped = append(l.skipped, g.fullName())
		default:
			return fault.Client(fault.UnsupportedFeature,
				"Gemfile.lock locks the gem %s %s for the platform %s only: Cachito fetches gems that are built from their source. Run `bundle lock --add-platform ruby`, or choose a version that exists for the platform ruby.",
				g.name, g.version, g.platform)
		}
		seen[g] = true
	}
	return nil
}

func (l *locked) addGit(src lockedSource, gems []lockedGem) error {
	remote := first(src.remotes)
	if !strings.HasPrefix(remote, "https://") {
		return fault.Client(fault.ValidationError, "All Ruby GIT dependencies have to use HTTPS protocol.")
	}
	revision := src.options["revision"]
	if !commitPattern.MatchString(revision) {
		return fault.Client(fault.ValidationError, "No git ref for gem: %s (expected 40 hexadecimal characters, got: %s).", gems[0].name, revision)
	}
	shown, err := shownRemote(remote)
	if err != nil {
		return fault.Client(fault.ValidationError,
			"The remote of the GIT dependency %s is not a URL that Cachito supports: https://<host>/<path>, where the path is of letters, digits and . _ ~ + @ -",
			gems[0].name).Because(err)
	}
	tree := gitTree{url: remote, shown: shown, commit: strings.ToLower(revision), submodules: src.options["submodules"] == "true", names: []string{cacheName(remote, revision)}}
	for _, g := range gems {
		l.git = append(l.git, gitGem{name: g.name, tree: tree})
	}
	return nil
}

// gitPathPattern: the path becomes folders of the bundle.
var (
	gitHostPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?$`)
	gitPathPattern = regexp.MustCompile(`^(?:/+[A-Za-z0-9._~+@-]+)+/*$`)
)

// shownRemote is a repository's URL without user info.
func shownRemote(remote string) (string, error) {
	u, err := url.Parse(remote)
	if err != nil {
		return "", errors.New("it cannot be parsed") // the error would quote it
	}
	for element := range strings.SplitSeq(u.Path, "/") {
		if element == "." || element == ".." || element == ".git" {
			return "", errors.New("its path has a part that is no name")
		}
	}
	if !gitHostPattern.MatchString(u.Host) || !gitPathPattern.MatchString(u.Path) || strings.ContainsAny(remote, "%?#") {
		return "", errors.New("its host or path has other characters, or it has a query or fragment")
	}
	if u.User == nil {
		return remote, nil
	}
	u.User = nil
	return u.String(), nil
}

func (l *locked) addLocal(src lockedSource, gems []lockedGem) error {
	if len(src.remotes) == 0 {
		return fault.Client(fault.InvalidFileFormat, "The PATH dependency %s has no path in Gemfile.lock (a section PATH without \"remote:\")", gems[0].name)
	}
	for _, g := range gems {
		l.local = append(l.local, localGem{name: g.name, path: src.remotes[0]})
	}
	return nil
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// version of a local gem as it is reported: "./vendor/x" or "../x".
func (g localGem) version() string {
	clean := path.Clean(g.path)
	switch {
	case clean == ".":
		return "./"
	case clean == ".." || strings.HasPrefix(clean, "../"):
		return clean
	}
	return "./" + clean
}

// version of a git gem as it is reported.
func (g gitGem) version() string { return "git+" + g.tree.shown + "@" + g.tree.commit }
