package rubygems

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/integrity"
)

// Bounds of a lockfile. The largest we know has some 1,500 gems in 100 KB.
const (
	// MaxLockfileBytes is the size of a Gemfile.lock.
	MaxLockfileBytes = 16 << 20
	// MaxLockfileLineBytes is the length of one of its lines.
	MaxLockfileLineBytes = 64 << 10
	// MaxGems is how many gems one lockfile may lock.
	MaxGems = 20_000
	// maxChecksums is how many checksums one gem may have, each of another algorithm.
	maxChecksums = 16
)

// Sections of a Gemfile.lock that hold gems.
const (
	sectionGem  = "GEM"
	sectionGit  = "GIT"
	sectionPath = "PATH"
)

// lockfile is a Gemfile.lock, as far as it matters for what is fetched. The format is Bundler's own
// (https://github.com/rubygems/rubygems, bundler/lib/bundler/lockfile_parser.rb at v2.7.2):
//
//	GEM
//	  remote: https://rubygems.org/
//	  specs:
//	    rails (7.0.4)
//	      activerecord (= 7.0.4)
//
//	PLATFORMS
//	  ruby
//
//	CHECKSUMS
//	  rails (7.0.4) sha256=4a0a2b...
type lockfile struct {
	sources []lockedSource
	// onlyRuby: the section PLATFORMS is the line "  ruby" alone, with an empty line or nothing after it.
	onlyRuby bool
	// checksums by lockedGem.fullName.
	checksums map[string][]integrity.Digest
	// bundler is the version that wrote it; empty when it does not say.
	bundler string
}

// lockedSource is a section that gems come from: GEM, GIT, PATH, or another that has specs.
type lockedSource struct {
	kind    string
	remotes []string
	options map[string]string // of GIT: revision, branch, ref, tag, glob, submodules
	specs   []lockedGem
}

// lockedGem is a line below "specs:".
type lockedGem struct {
	name string
	// version is empty when the line has none: then the gem is only mentioned.
	version string
	// platform is empty for gems that run on any: "x86_64-linux", "java".
	platform string
}

// fullName is what Bundler calls a gem's files: name-version, and -platform if it has one.
func (g lockedGem) fullName() string {
	if g.platform == "" {
		return g.name + "-" + g.version
	}
	return g.name + "-" + g.version + "-" + g.platform
}

// formatError says which line of a lockfile is not as Bundler writes it.
type formatError struct {
	line   int
	reason string
}

func (e *formatError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.reason) }

// Names and versions as RubyGems has them (Gem::Specification::VALID_NAME_PATTERN, Gem::Version::VERSION_PATTERN
// without its dash, which separates the platform here). They become file names and parts of URLs, so a name may not
// begin with a dot.
const (
	namePattern     = `[A-Za-z0-9_-][A-Za-z0-9._-]*`
	versionPattern  = `[0-9]+(?:\.[0-9A-Za-z]+)*`
	platformPattern = `[A-Za-z0-9_][A-Za-z0-9._-]*`
)

var (
	optionLine   = regexp.MustCompile(`^  ([A-Za-z]+): (.*)$`)
	specLine     = regexp.MustCompile(`^    (` + namePattern + `)(?: \((` + versionPattern + `)(?:-(` + platformPattern + `))?\))?!?$`)
	needLine     = regexp.MustCompile(`^      (` + namePattern + `)(?: \([^()]*\))?!?$`)
	checksumLine = regexp.MustCompile(`^  (` + namePattern + `) \((` + versionPattern + `)(?:-(` + platformPattern + `))?\)(?: ([^ ]+))?$`)
)

// parseLockfile reads a Gemfile.lock. Errors are *formatError, or those of reading.
func parseLockfile(r io.Reader) (lockfile, error) {
	p := lockfileParser{lock: lockfile{checksums: map[string][]integrity.Digest{}}, platforms: []string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, MaxLockfileLineBytes)
	for lines.Scan() {
		p.line++
		if err := p.read(strings.TrimSuffix(lines.Text(), "\r")); err != nil {
			return lockfile{}, err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		p.line++
		return lockfile{}, p.fail("it is longer than %d bytes", MaxLockfileLineBytes)
	}
	if err := lines.Err(); err != nil {
		return lockfile{}, fmt.Errorf("reading a lockfile: %w", err)
	}
	p.lock.onlyRuby = slices.Equal(p.platforms, []string{"  ruby"}) && !p.platformsRunOn
	return p.lock, nil
}

// lockfileParser goes through a lockfile line by line.
type lockfileParser struct {
	lock    lockfile
	line    int
	section string
	// inSpecs: the section's line "specs:" is behind us.
	inSpecs bool
	gems    int

	platforms []string
	// afterPlatform: the line before is one of PLATFORMS. platformsRunOn: a section began right after one.
	afterPlatform, platformsRunOn bool
}

func (p *lockfileParser) fail(format string, args ...any) error {
	return &formatError{p.line, fmt.Sprintf(format, args...)}
}

func (p *lockfileParser) read(line string) error {
	if strings.Trim(line, " ") == "" {
		p.afterPlatform = false
		return nil
	}
	if err := p.checkText(line); err != nil {
		return err
	}
	if line[0] != ' ' {
		p.begin(line)
		return nil
	}
	switch p.section {
	case "PLATFORMS":
		// Two are as wrong as a million.
		if p.afterPlatform = true; len(p.platforms) < 2 {
			p.platforms = append(p.platforms, line)
		}
		return nil
	case "CHECKSUMS":
		return p.checksum(line)
	case "BUNDLED WITH":
		p.lock.bundler = strings.TrimSpace(line)
		return nil
	case "", "DEPENDENCIES", "RUBY VERSION":
		return nil // Bundler's business
	}
	return p.source(line)
}

// checkText refuses what no line may hold, so that names and errors are plain text.
func (p *lockfileParser) checkText(line string) error {
	if !utf8.ValidString(line) {
		return p.fail("it is not UTF-8")
	}
	for i := range len(line) {
		if line[i] < ' ' || line[i] == 0x7f {
			return p.fail("it has a control character (0x%02x)", line[i])
		}
	}
	if isConflictMark(line) {
		return p.fail("it is the mark of a merge conflict: resolve the conflict and run `bundle lock`")
	}
	return nil
}

// isConflictMark: seven of "<", "=", ">" or "|" begin the line, and a blank or nothing follows.
func isConflictMark(line string) bool {
	const length = 7
	if len(line) < length || !strings.ContainsRune("<=>|", rune(line[0])) || strings.Count(line[:length], line[:1]) < length {
		return false
	}
	return len(line) == length || line[length] == ' '
}

// begin starts a section.
func (p *lockfileParser) begin(name string) {
	if p.afterPlatform {
		p.platformsRunOn, p.afterPlatform = true, false
	}
	p.section, p.inSpecs = name, false
	switch name {
	case "PLATFORMS", "CHECKSUMS", "DEPENDENCIES", "RUBY VERSION", "BUNDLED WITH":
	default:
		p.lock.sources = append(p.lock.sources, lockedSource{kind: name, options: map[string]string{}})
	}
}

// source reads a line of a section that may hold gems. Of sections that nobody knows only the gems count.
func (p *lockfileParser) source(line string) error {
	src := &p.lock.sources[len(p.lock.sources)-1]
	known := src.kind == sectionGem || src.kind == sectionGit || src.kind == sectionPath
	if line == "  specs:" {
		if p.inSpecs && known {
			return p.fail("a second \"specs:\" in one section")
		}
		p.inSpecs = true
		return nil
	}
	if p.inSpecs {
		if strings.HasPrefix(line, "      ") && len(src.specs) > 0 && needLine.MatchString(line) {
			return nil
		}
		if m := specLine.FindStringSubmatch(line); m != nil {
			if p.gems++; p.gems > MaxGems {
				return p.fail("more than %d gems", MaxGems)
			}
			src.specs = append(src.specs, lockedGem{name: m[1], version: m[2], platform: m[3]})
			return nil
		}
	}
	if !known {
		return nil
	}
	m := optionLine.FindStringSubmatch(line)
	if m == nil || p.inSpecs {
		return p.fail("%s is not what Bundler writes in the section %s", quoted(line), src.kind)
	}
	return p.option(src, m[1], m[2])
}

func (p *lockfileParser) option(src *lockedSource, key, value string) error {
	if key == "remote" {
		src.remotes = append(src.remotes, value)
		if len(src.remotes) > 1 && src.kind != sectionGem {
			return p.fail("a second \"remote:\" in one section %s", src.kind)
		}
		return nil
	}
	if _, twice := src.options[key]; twice {
		return p.fail("a second %q in one section %s", key+":", src.kind)
	}
	src.options[key] = value
	return nil
}

// checksum reads a line of CHECKSUMS: "  name (version[-platform]) [algorithm=hex[,algorithm=hex...]]". Algorithms
// that are not known here are kept: a gem that has no others must not pass as one without checksums.
func (p *lockfileParser) checksum(line string) error {
	m := checksumLine.FindStringSubmatch(line)
	if m == nil {
		return p.fail("%s is not what Bundler writes in the section CHECKSUMS", quoted(line))
	}
	if m[4] == "" {
		return nil // gems that are no files have none
	}
	name := lockedGem{name: m[1], version: m[2], platform: m[3]}.fullName()
	for item := range strings.SplitSeq(m[4], ",") {
		algorithm, digits, _ := strings.Cut(item, "=")
		d := integrity.Digest{Algorithm: algorithm}
		sum, err := hex.DecodeString(digits)
		if d.Sum = string(sum); integrity.Strength(algorithm) > 0 {
			d, err = integrity.FromHex(algorithm, digits)
		}
		if err != nil || algorithm == "" || digits == "" {
			return p.fail("the checksum %s of %s is not of the form algorithm=hex digits", quoted(item), name)
		}
		if err := p.addChecksum(name, d); err != nil {
			return err
		}
	}
	return nil
}

func (p *lockfileParser) addChecksum(name string, d integrity.Digest) error {
	for _, known := range p.lock.checksums[name] {
		if known == d {
			return nil
		}
		if known.Algorithm == d.Algorithm {
			return p.fail("a second %s checksum of %s, which differs from the first", d.Algorithm, name)
		}
	}
	if len(p.lock.checksums) > 2*MaxGems || len(p.lock.checksums[name]) == maxChecksums {
		return p.fail("more checksums than %d gems can have", MaxGems)
	}
	p.lock.checksums[name] = append(p.lock.checksums[name], d)
	return nil
}

// quoted shows the beginning of a line.
func quoted(line string) string {
	const most = 80
	if runes := []rune(line); len(runes) > most {
		line = string(runes[:most]) + "..."
	}
	return fmt.Sprintf("%q", line)
}
