package berry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/resolver/yarn/lines"
)

const (
	rcName = ".yarnrc.yml"
	// maxRCBytes bounds a .yarnrc.yml of the repository.
	maxRCBytes = 1 << 20
	// defaultLockfile is the lockfile's name unless lockfileFilename says otherwise.
	defaultLockfile = "yarn.lock"
)

// rc is what is read of a project's .yarnrc.yml. Of a setting that is of another type than expected, nothing is
// read: whether it is right is Yarn's to say.
type rc struct {
	path string // in the repository; "" when there is none
	text []byte
	// Settings by their own names.
	yarnPath, lockfile, registry string
	// scopes are the registries of npmScopes.
	scopes  map[string]string
	plugins []rcPlugin
	// immutableCache and hardened are enableImmutableCache and enableHardenedMode set to true.
	immutableCache, hardened bool
	// cacheFolder is where the archives of a zero-install lie.
	cacheFolder string
}

// rcPlugin is one of the plugins that a project names.
type rcPlugin struct {
	// Path relative to the project.
	Path string `yaml:"path"`
	// Spec is where it is from, a URL or a name.
	Spec string `yaml:"spec"`
	// Checksum is SHA-512 of the file, in hexadecimal digits.
	Checksum string `yaml:"checksum"`
}

// pathSettings lead to files that Yarn writes, or runs.
var pathSettings = []string{"installStatePath", "patchFolder", "pnpDataPath", "pnpUnpluggedFolder", "virtualFolder", "yarnPath"}

// LockfileName is the name of the lockfile of the project in a folder: that of lockfileFilename in its .yarnrc.yml,
// else yarn.lock. Faults are those of the file.
func LockfileName(source *os.Root, dir string) (string, error) {
	config, err := readRC(source, dir)
	if err != nil || config.lockfile == "" {
		return defaultLockfile, err
	}
	return config.lockfile, nil
}

// readRC reads the .yarnrc.yml of a project; without one, nothing is set. Faults are the client's.
func readRC(source *os.Root, dir string) (rc, error) {
	name := path.Join(dir, rcName)
	info, err := source.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return rc{}, nil
	}
	if err != nil || !info.Mode().IsRegular() {
		return rc{}, fault.Client(fault.InvalidRepoStructure, "The file %s cannot be read: it is no file, or leads out of the repository", name).Because(err)
	}
	if info.Size() > maxRCBytes {
		return rc{}, fault.Client(fault.UnsupportedFeature, "The file %s has %d bytes, the limit is %d", name, info.Size(), maxRCBytes)
	}
	text, err := source.ReadFile(name)
	if err != nil {
		return rc{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return parseRC(text, name)
}

func parseRC(text []byte, name string) (rc, error) {
	out := rc{path: name, text: text}
	var settings map[string]yaml.Node
	// yaml.v3 refuses documents whose aliases multiply.
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&settings); err != nil && !errors.Is(err, io.EOF) {
		return out, fault.Client(fault.InvalidFileFormat, "The file %s is not valid YAML: %s", name, err).Because(err)
	}
	// take reads one setting; of another type, it stays as it was.
	take := func(key string, to any) {
		if node, ok := settings[key]; ok {
			_ = node.Decode(to)
		}
	}
	take("yarnPath", &out.yarnPath)
	take("lockfileFilename", &out.lockfile)
	take("cacheFolder", &out.cacheFolder)
	take("npmRegistryServer", &out.registry)
	take("enableImmutableCache", &out.immutableCache)
	take("enableHardenedMode", &out.hardened)
	var scopes map[string]struct {
		Registry string `yaml:"npmRegistryServer"`
	}
	take("npmScopes", &scopes)
	out.scopes = map[string]string{}
	for scope, s := range scopes {
		out.scopes[strings.TrimPrefix(scope, "@")] = s.Registry
	}
	var plugins []yaml.Node
	take("plugins", &plugins)
	for _, node := range plugins {
		p := rcPlugin{}
		if node.Decode(&p) != nil {
			p = rcPlugin{}
			_ = node.Decode(&p.Path)
		}
		out.plugins = append(out.plugins, p)
	}
	for _, key := range pathSettings {
		var value string
		take(key, &value)
		// Relative to the project; that it stays in the repository is checked where it is used.
		if path.IsAbs(value) || value != "" && !filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(name), value))) {
			return out, fault.Client(fault.InvalidRepoStructure, "YarnRC '%s=%s' property: path points outside of the source directory", key, lines.Shorten(value))
		}
	}
	if out.lockfile != "" && (out.lockfile != path.Base(out.lockfile) || out.lockfile == "." || out.lockfile == "..") {
		return out, fault.Client(fault.InvalidFileFormat, "The file %s: lockfileFilename %q is no file name", name, lines.Shorten(out.lockfile))
	}
	return out, nil
}

// variable is an environment variable in a setting: ${NAME}, ${NAME-default}, ${NAME:-default}.
var variable = regexp.MustCompile(`\$\{([A-Za-z0-9_]+)(?::?-([^}]*))?\}`)

// registryOf is the registry that Yarn asks for a package by the project's own settings; "" when it is not set, or
// depends on a variable that only the machine of the developer has.
// jsr is the registry of the scope @jsr, which Yarn knows by itself; empty: it has none of its own.
func (c rc) registryOf(name, jsr string) string {
	registry := c.registry
	if scope, _, ok := strings.Cut(strings.TrimPrefix(name, "@"), "/"); ok {
		switch own := c.scopes[scope]; {
		case own != "":
			registry = own
		case scope == "jsr" && jsr != "":
			return jsr
		}
	}
	registry = variable.ReplaceAllString(registry, "$2")
	if !strings.HasPrefix(registry, "http://") && !strings.HasPrefix(registry, "https://") {
		return ""
	}
	return strings.TrimRight(registry, "/") + "/"
}

// overridden is the file as the bundle has it, when a setting of it would keep Yarn from the bundle's files: Yarn
// must be allowed to put what it fetches (of the bundle) into its cache, and must not ask the registry again
// whether the lockfile is right.
func (c rc) overridden(ownCache bool) ([]byte, bool) {
	text := c.text
	for key, set := range map[string]bool{"enableImmutableCache": c.immutableCache && !ownCache, "enableHardenedMode": c.hardened} {
		if set {
			line := regexp.MustCompile(`(?m)^["']?` + key + `["']?[ \t]*:.*$`)
			text = line.ReplaceAll(text, []byte(key+": false # set by Cachito, for the bundle"))
		}
	}
	return text, !bytes.Equal(text, c.text)
}
