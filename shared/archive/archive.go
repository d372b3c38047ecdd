// Package archive writes bundles, reads archives of others safely, and keeps checked-out source trees.
//
// A bundle (BundleWriter) is a tar inside one gzip member. The member's deflate stream is made of
// independent, byte-aligned segments, so that they are encoded side by side and can be cached; what
// is compressed already is stored, not compressed again. The same entries give the same bytes, on any
// machine and with any number of workers.
//
// Archives of others (Walk, Extract) are read within Limits and written through an os.Root.
// Source trees (TreeWriter, TreeReader, ExtractTree) are sorted tars inside zstd.
//
// The package knows neither storage nor package managers.
package archive

import (
	"fmt"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of a name, and of a link's target.
const (
	// MaxNameBytes is PATH_MAX of Linux: nothing longer can be extracted in one piece.
	MaxNameBytes = 4096
	// MaxNameDepth is how many elements a name may have.
	MaxNameDepth = 256
)

// Mode is what an entry is. The zero Mode is a plain file.
type Mode uint8

// The kinds of entries; nothing else is written or extracted.
const (
	File       Mode = iota // 0644
	Executable             // a file with 0755
	Dir                    // 0755
	Link                   // symbolic link, 0777
)

func (m Mode) String() string {
	switch m {
	case File:
		return "file"
	case Executable:
		return "executable"
	case Dir:
		return "directory"
	case Link:
		return "link"
	default:
		return fmt.Sprintf("mode %d", uint8(m))
	}
}

// isFile reports whether entries of this mode have content.
func (m Mode) isFile() bool { return m == File || m == Executable }

// perm is the mode's permission bits in a tar header and on disk.
func (m Mode) perm() int64 {
	switch m {
	case File:
		return 0o644
	case Link:
		return 0o777
	default:
		return 0o755
	}
}

// Header describes an entry of a bundle.
type Header struct {
	// Name is slash-separated, relative and clean: "deps/pip/x.whl". A directory's has no slash
	// at its end (the archive gets one).
	Name string
	Mode Mode
	// Linkname is a link's target as it is, relative to the link's directory.
	Linkname string
	// Size of the content in bytes; 0 for directories and links.
	Size int64
	// ModTime is written in whole seconds.
	ModTime time.Time
}

// NameError is a name (or a link's target) that no archive of ours holds.
type NameError struct {
	Name   string
	Reason string // "has the element \"..\""
}

func (e *NameError) Error() string { return fmt.Sprintf("file name %q %s", e.Name, e.Reason) }

// checkName refuses names that mean different things to different readers, or lead out of the tree.
func checkName(name string) error {
	switch {
	case name == "":
		return &NameError{name, "is empty"}
	case len(name) > MaxNameBytes:
		return &NameError{name[:64] + "...", fmt.Sprintf("is longer than %d bytes", MaxNameBytes)}
	case name[0] == '/':
		return &NameError{name, "is absolute"}
	case strings.Count(name, "/") >= MaxNameDepth:
		return &NameError{name, fmt.Sprintf("has more than %d elements", MaxNameDepth)}
	case hasControl(name):
		return &NameError{name, "has a control character"}
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return &NameError{name, `has the element ".."`}
		}
	}
	if path.Clean(name) != name || name == "." {
		return &NameError{name, fmt.Sprintf("is not clean (%q would be)", path.Clean(name))}
	}
	return nil
}

// checkLinkname refuses targets that cannot be written; where a link may lead is UnsafeLinks' matter.
func checkLinkname(name, target string) error {
	switch {
	case target == "":
		return &NameError{name, "is a link without a target"}
	case len(target) > MaxNameBytes:
		return &NameError{name, fmt.Sprintf("is a link with a target longer than %d bytes", MaxNameBytes)}
	case hasControl(target):
		return &NameError{name, fmt.Sprintf("is a link whose target %q has a control character", target)}
	}
	return nil
}

// checkEntry checks everything that can be said of one entry alone.
func checkEntry(name string, mode Mode, linkname string, size int64) error {
	if err := checkName(name); err != nil {
		return err
	}
	switch {
	case mode > Link:
		return &NameError{name, fmt.Sprintf("has the unknown %v", mode)}
	case mode == Link:
		if err := checkLinkname(name, linkname); err != nil {
			return err
		}
	case linkname != "":
		return &NameError{name, fmt.Sprintf("has a link target although it is a %v", mode)}
	}
	if size < 0 || (size > 0 && !mode.isFile()) {
		return &NameError{name, fmt.Sprintf("has the size %d although it is a %v", size, mode)}
	}
	return nil
}

func hasControl(s string) bool {
	for _, r := range s {
		if r < ' ' || r == 0x7f || (r > utf8.RuneSelf && unicode.IsControl(r)) {
			return true
		}
	}
	return false
}

// compressedSuffixes are formats whose content does not get smaller by deflate.
var compressedSuffixes = []string{
	".zip", ".gz", ".tgz", ".bz2", ".tbz2", ".tbz", ".xz", ".txz", ".zst", ".lz4", ".lzma", ".br", ".7z", ".rar",
	".whl", ".egg", ".gem", ".crate", ".jar", ".war", ".ear", ".aar", ".apk", ".nupkg", ".conda", ".rpm", ".deb", ".xpi",
	".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".woff", ".woff2",
	".mp3", ".mp4", ".ogg", ".webm", ".flac", ".m4a", ".mkv",
	".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp",
}

// IsCompressed reports whether the name says that the content is compressed already, so that it is
// stored in a bundle as it is.
func IsCompressed(name string) bool {
	base := strings.ToLower(path.Base(name))
	for _, suffix := range compressedSuffixes {
		if len(base) > len(suffix) && strings.HasSuffix(base, suffix) {
			return true
		}
	}
	return false
}
