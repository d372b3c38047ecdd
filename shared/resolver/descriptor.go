package resolver

import (
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
)

// Descriptor says everything that the rest of the program needs to know of a package manager.
type Descriptor struct {
	// Name in the API: "gomod", "git-submodule".
	Name string
	// Rank orders overlays and steps (gomod, npm, pip, rubygems, git-submodule, yarn, then newer
	// ones); the order of the list itself is the API's.
	Rank int
	// Options are the keys of an object in packages.<name>, in checking order; nil: the manager takes
	// no options.
	Options []Option
	// Flags of requests that concern it; a request may carry them whether or not it names the manager.
	Flags []string
	// Types are the package types it reports, with what the documents make of them.
	Types []packages.Rule
	// OptIn: Cachito does not have this manager, so that it is unknown to the API unless the operator
	// enables it; see Enabled.
	OptIn bool
	// NeedsSubmodules: the source is checked out with its submodules.
	NeedsSubmodules bool
	// NoTree: the resolver reads no file of the source, so none is written to disk for it; Input.Source
	// is empty.
	NoTree bool
	// NeedsTags: the source comes with a snapshot of its version tags.
	NeedsTags bool
	// RefusesReplacements is the manager's name in the sentence "Dependency replacements are not yet
	// supported for the {} package manager"; empty when it takes (or ignores) them.
	RefusesReplacements string
	// Detect reports whether the manager has work in a tree, by the names of its files at the
	// root; used when nobody names a manager (cachito fetch).
	Detect func(names map[string]bool) bool
	// Commands are the programs that the resolver runs ("go"); template.yaml's functions bring them.
	Commands []string
	// Version changes whenever the same input may give another output: it is part of the key
	// under which results are cached.
	Version string
	// New makes the resolver from its settings. nil: the API knows the name, but this program
	// cannot resolve it (it is then never enabled).
	New func(Settings) (Resolver, error)
}

// Option is a key of an options object. It is a request.Option; see there.
type Option struct {
	Name string
	// List: an array of strings, else a string. All are relative paths, unless there are Properties.
	List bool
	// Properties are the keys of an object of strings, integers and nulls, which are no paths; nil when
	// the option is no object.
	Properties []string
	// Extension: Cachito does not have this key, so the sentences that list the keys, which are
	// Cachito's, leave it out.
	Extension bool
}

// Settings are what a resolver may read of the configuration: by name, for the managers that
// declare them. Whatever is in it is part of the results key, unless it is in Local.
type Settings struct {
	Values map[string]string `json:"values"`
	// Environment are variables that the operator adds to what the manager's builds get. The pipeline
	// merges them in; resolvers need not look.
	Environment map[string]request.EnvironmentVariable `json:"environment,omitempty"`
	Local       LocalSettings                          `json:"-"`
}

// LocalSettings depend on the machine and never on what comes out.
type LocalSettings struct {
	// ToolDir is a folder for toolchains, kept between requests and shared by processes.
	ToolDir string
}
