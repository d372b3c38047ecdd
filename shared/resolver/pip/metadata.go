package pip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/pelletier/go-toml/v2"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep440"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pysource"
)

// MaxMetadataBytes bounds pyproject.toml, setup.py, setup.cfg and what they refer to.
const MaxMetadataBytes = pysource.MaxBytes

// projectMetadata is what is known of a project; either may be "".
type projectMetadata struct{ name, version string }

// fill takes over what is missing so far.
func (m *projectMetadata) fill(other projectMetadata) {
	if m.name == "" {
		m.name = other.name
	}
	if m.version == "" {
		m.version = normalVersion(other.version)
	}
}

var oddVersionPattern = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// normalVersion is a version's normal form; of what is no version the blanks become ".", other odd
// characters "-".
func normalVersion(text string) string {
	if v, err := pep440.Parse(text); err == nil {
		return v.String()
	}
	return oddVersionPattern.ReplaceAllString(strings.ReplaceAll(text, " ", "."), "-")
}

// metadataReader reads the files of one package's directory.
type metadataReader struct {
	dir *os.Root
	// shown is the directory in messages: "." or its path from the repository's root.
	shown string
	log   *slog.Logger
}

// readMetadata finds a project's name and version: in pyproject.toml, setup.py, setup.cfg, each of which
// may fill in what those before it lack; without a name there, it is made of the repository's URL and the
// directory. A file that cannot be understood says nothing; that is no error.
func readMetadata(ctx context.Context, source *os.Root, dir, repoURL string, log *slog.Logger) (projectMetadata, error) {
	var m projectMetadata
	root, err := source.OpenRoot(dir)
	if err != nil {
		return m, fault.Client(fault.InvalidRepoStructure, "The path %s is not a directory of the repository", pyrepr.String(dir)).Because(err)
	}
	defer root.Close()
	r := &metadataReader{dir: root, shown: dir, log: log}
	for _, read := range []func(context.Context) (projectMetadata, error){r.pyproject, r.setupPy, r.setupCfg} {
		found, err := read(ctx)
		if err != nil {
			return m, err
		}
		m.fill(found)
		if m.name != "" && m.version != "" {
			break
		}
	}
	if m.name == "" {
		m.name = originName(repoURL, dir)
		log.InfoContext(ctx, "The project has no name: it is called after its repository", "path", dir, "name", m.name)
	}
	if m.version == "" {
		log.InfoContext(ctx, "The project's version cannot be told without running its code", "path", dir)
	}
	return m, nil
}

// originName is a name from where the project is: https://h/o/My_Repo.git and sub/d give my-repo-sub-d.
func originName(repoURL, dir string) string {
	name := repoURL
	if u, err := url.Parse(repoURL); err == nil {
		name = u.Path
	}
	name = strings.TrimSuffix(path.Base(strings.TrimRight(name, "/")), ".git")
	name = name[strings.LastIndexByte(name, ':')+1:] // git@host:repo.git
	if dir != "." {
		name += "-" + strings.ReplaceAll(dir, "/", "-")
	}
	return pep508.Canonical(name)
}

// read reads a file of the directory. found is false when there is none, or one that is too large.
func (r *metadataReader) read(ctx context.Context, name string) (text string, found bool, err error) {
	f, err := r.dir.Open(name)
	if err != nil {
		var pathError *fs.PathError
		if errors.As(err, &pathError) { // also a link that leaves the directory
			return "", false, nil
		}
		return "", false, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", false, nil
	}
	raw, err := io.ReadAll(io.LimitReader(f, MaxMetadataBytes+1))
	if err != nil {
		return "", false, fmt.Errorf("reading %s: %w", name, err)
	}
	if len(raw) > MaxMetadataBytes {
		r.ignored(ctx, name, fmt.Errorf("it is larger than %d bytes", MaxMetadataBytes))
		return "", false, nil
	}
	return string(raw), true, nil
}

func (r *metadataReader) ignored(ctx context.Context, name string, reason error) {
	r.log.WarnContext(ctx, "A file of the project cannot be understood and is ignored", "file", path.Join(r.shown, name), "reason", reason)
}

// pyproject reads the [project] table.
func (r *metadataReader) pyproject(ctx context.Context) (projectMetadata, error) {
	const name = "pyproject.toml"
	text, found, err := r.read(ctx, name)
	if err != nil || !found {
		return projectMetadata{}, err
	}
	var doc struct {
		Project struct {
			Name    any   `toml:"name"`
			Version any   `toml:"version"`
			Dynamic []any `toml:"dynamic"`
		} `toml:"project"`
	}
	if err := toml.Unmarshal([]byte(text), &doc); err != nil {
		r.ignored(ctx, name, err)
		return projectMetadata{}, nil
	}
	var m projectMetadata
	m.name, _ = doc.Project.Name.(string)
	if !slices.Contains(doc.Project.Dynamic, any("version")) {
		m.version, _ = doc.Project.Version.(string)
	}
	return m, nil
}

func (r *metadataReader) setupPy(ctx context.Context) (projectMetadata, error) {
	const name = "setup.py"
	text, found, err := r.read(ctx, name)
	if err != nil || !found {
		return projectMetadata{}, err
	}
	s, err := pysource.ReadSetup(text)
	if err != nil {
		r.ignored(ctx, name, err)
		return projectMetadata{}, nil
	}
	return projectMetadata{s.Name.Text, s.Version.Text}, nil
}

func (r *metadataReader) setupCfg(ctx context.Context) (projectMetadata, error) {
	const name = "setup.cfg"
	text, found, err := r.read(ctx, name)
	if err != nil || !found {
		return projectMetadata{}, err
	}
	ini, err := parseIni(text)
	var m projectMetadata
	var version, dirs string
	if err == nil {
		m.name, err = ini.get("metadata", "name")
	}
	if err == nil {
		version, err = ini.get("metadata", "version")
	}
	if err == nil {
		dirs, err = ini.get("options", "package_dir")
	}
	if err != nil {
		r.ignored(ctx, name, err)
		return projectMetadata{}, nil
	}
	switch {
	case strings.HasPrefix(version, "file:"):
		m.version, err = r.versionFile(ctx, strings.TrimPrefix(version, "file:"))
	case strings.HasPrefix(version, "attr:"):
		m.version, err = r.attribute(ctx, strings.TrimSpace(strings.TrimPrefix(version, "attr:")), packageDirs(dirs))
	default:
		m.version = version
	}
	return m, err
}

// versionFile reads "file: A, B": the files' content, joined by newlines as setuptools does.
func (r *metadataReader) versionFile(ctx context.Context, list string) (string, error) {
	var texts []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) || r.leaves(name) {
			return "", fault.Client(fault.ValidationError, "%s is not a subpath of %s", pyrepr.String(name), pyrepr.String(r.shown))
		}
		text, found, err := r.read(ctx, path.Clean(name))
		if err != nil {
			return "", err
		}
		if found {
			texts = append(texts, strings.TrimSpace(text))
		}
	}
	return strings.TrimSpace(strings.Join(texts, "\n")), nil
}

// leaves reports whether a path goes through a link that leads out of the directory.
func (r *metadataReader) leaves(name string) bool {
	_, err := r.dir.Stat(name)
	for _, harmless := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP} {
		if errors.Is(err, harmless) {
			return false
		}
	}
	return err != nil
}

// packageDirs reads package_dir: "=src" or "pkg = lib/pkg", between commas or in lines of their own.
func packageDirs(text string) map[string]string {
	dirs := map[string]string{}
	for _, item := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == '\n' }) {
		if key, value, ok := strings.Cut(item, "="); ok {
			dirs[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return dirs
}

var identifierPattern = regexp.MustCompile(`^[\p{L}_][\p{L}\p{M}\p{Nd}_]*$`)

// attribute reads "attr: a.b.NAME": an assignment in a/b/__init__.py or a/b.py.
func (r *metadataReader) attribute(ctx context.Context, text string, dirs map[string]string) (string, error) {
	module, name := "", text
	if at := strings.LastIndexByte(text, '.'); at >= 0 {
		module, name = text[:at], text[at+1:]
	}
	inner := strings.TrimPrefix(module, ".")
	if inner == "" {
		inner = "__init__"
	}
	parts := strings.Split(inner, ".")
	for _, part := range parts {
		if !identifierPattern.MatchString(part) {
			return "", fault.Client(fault.ValidationError, "%s is not an accepted module name", pyrepr.String(module))
		}
	}
	base := path.Join(append([]string{"."}, parts...)...)
	if dir, ok := dirs[parts[0]]; ok {
		base = path.Join(append([]string{dir}, parts[1:]...)...)
	} else if dir, ok := dirs[""]; ok {
		base = path.Join(dir, base)
	}
	for _, file := range []string{path.Join(base, "__init__.py"), base + ".py"} {
		if !filepath.IsLocal(filepath.FromSlash(file)) {
			continue
		}
		source, found, err := r.read(ctx, file)
		if err != nil {
			return "", err
		}
		if !found {
			continue
		}
		v, err := pysource.Attribute(source, name)
		if err != nil {
			r.ignored(ctx, file, err)
		}
		return v.Text, nil
	}
	return "", nil
}
