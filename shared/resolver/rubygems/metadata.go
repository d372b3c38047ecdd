package rubygems

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// Bounds of what is read of a gem.
const (
	// maxGemEntries: gems have three entries, signed ones six.
	maxGemEntries = 100
	// maxMetadataBytes is the size of a gem's metadata, decompressed. It lists the gem's files.
	maxMetadataBytes = 32 << 20
	// maxMetadataValueBytes is the size of one of the values that are looked at.
	maxMetadataValueBytes = 4 << 10
)

// gemMetadata is what a gem says of itself.
type gemMetadata struct {
	name, version string
	platform      string // "ruby" for gems that run anywhere
}

func (m gemMetadata) String() string { return m.name + " " + m.version + " (" + m.platform + ")" }

// readMetadata reads the metadata of a gem: a plain tar (https://guides.rubygems.org/specification-reference/,
// rubygems lib/rubygems/package.rb) in which metadata.gz is the YAML of a Gem::Specification:
//
//	--- !ruby/object:Gem::Specification
//	name: zeitwerk
//	version: !ruby/object:Gem::Version
//	  version: 2.6.0
//	platform: ruby
//	authors:
//	...
//
// Little of it is held in memory. An error says what is wrong with the file, but for those of reading it.
func readMetadata(r io.Reader) (gemMetadata, error) {
	entries := tar.NewReader(r)
	var (
		found gemMetadata
		have  bool
	)
	for n := 0; ; n++ {
		h, err := entries.Next()
		switch {
		case errors.Is(err, io.EOF) && have:
			return found, nil
		case errors.Is(err, io.EOF) && n > 0:
			return gemMetadata{}, errors.New("it has no metadata.gz")
		case errors.Is(err, io.EOF):
			return gemMetadata{}, errors.New("it is no tar archive")
		case errors.Is(err, tar.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, tar.ErrInsecurePath):
			return gemMetadata{}, errors.New("it is no whole tar archive")
		case err != nil:
			return gemMetadata{}, err
		case n == maxGemEntries:
			return gemMetadata{}, fmt.Errorf("it has more than %d entries", maxGemEntries)
		case h.Name != "metadata.gz" || h.Typeflag != tar.TypeReg:
			continue
		case have:
			return gemMetadata{}, errors.New("it has two metadata.gz")
		}
		if found, err = parseMetadata(entries); err != nil {
			return gemMetadata{}, fmt.Errorf("its metadata.gz: %w", err)
		}
		have = true
	}
}

// parseMetadata finds the three values in compressed YAML. Only the lines that hold them are parsed: keys of the
// specification stand at the beginning of a line, everything that belongs to them is indented.
func parseMetadata(r io.Reader) (gemMetadata, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return gemMetadata{}, err
	}
	limited := &io.LimitedReader{R: z, N: maxMetadataBytes + 1}
	lines := bufio.NewReaderSize(limited, maxMetadataValueBytes)
	var (
		wanted  bytes.Buffer
		seen    = map[string]bool{}
		keeping bool
	)
	for starts := true; ; {
		line, err := lines.ReadSlice('\n')
		if starts && len(line) > 0 && line[0] != ' ' && line[0] != '\t' && line[0] != '\r' && line[0] != '\n' {
			key, _, _ := strings.Cut(string(line), ":")
			keeping = (key == "name" || key == "version" || key == "platform") && !seen[key]
			seen[key] = seen[key] || keeping
		}
		if keeping {
			if wanted.Len()+len(line) > 3*maxMetadataValueBytes {
				return gemMetadata{}, errors.New("name, version or platform is far too long")
			}
			wanted.Write(line)
		}
		starts = !errors.Is(err, bufio.ErrBufferFull)
		switch {
		case err == nil, !starts:
		case errors.Is(err, io.EOF) && limited.N == 0:
			return gemMetadata{}, fmt.Errorf("it is larger than %d bytes", maxMetadataBytes)
		case errors.Is(err, io.EOF):
			return decodeMetadata(wanted.Bytes())
		default:
			return gemMetadata{}, err
		}
	}
}

func decodeMetadata(text []byte) (gemMetadata, error) {
	var doc struct{ Name, Version, Platform yaml.Node }
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return gemMetadata{}, fmt.Errorf("name, version and platform cannot be read: %w", err)
	}
	m := gemMetadata{name: doc.Name.Value, version: value(doc.Version, "version"), platform: value(doc.Platform, "cpu")}
	if m.name == "" || m.version == "" {
		return gemMetadata{}, errors.New("it has no name or no version")
	}
	if m.platform == "" {
		m.platform = "ruby" // as in RubyGems
	}
	return m, nil
}

// value is a scalar's text, or that of one key of a mapping: versions, and platforms that are not "ruby", are objects.
func value(n yaml.Node, key string) string {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key && n.Content[i+1].Kind == yaml.ScalarNode {
				return strings.TrimSpace(n.Content[i+1].Value)
			}
		}
	}
	return strings.TrimSpace(n.Value)
}
