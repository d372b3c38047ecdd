package pip

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/integrity"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep440"
	"github.com/cachito-serverless/cachito/shared/resolver/pip/pep508"
)

// locked are the digests that a requirements file gives for one requirement.
type locked struct {
	// any: there are some, whatever they are worth.
	any     bool
	digests []integrity.Digest
	// weak: there were only md5 and sha1, which do not count.
	weak bool
}

// parseLocked reads "algorithm:digest" in any case. Algorithms that are not known match nothing; md5 and
// sha1 count only beside others, unless allowWeak.
func parseLocked(list []string, allowWeak bool) locked {
	l := locked{any: len(list) > 0}
	strong := false
	for _, text := range list {
		d, err := integrity.ParseChecksum(text)
		if err != nil {
			continue
		}
		l.digests = append(l.digests, d)
		strong = strong || d.Algorithm != "md5" && d.Algorithm != "sha1"
	}
	if !strong && !allowWeak && len(l.digests) > 0 {
		l.digests, l.weak = nil, true
	}
	return l
}

// allows compares with the digests that an index gives for a file. proven is false when the two have no
// algorithm in common, so that only the file itself can tell.
func (l locked) allows(of []integrity.Digest) (allowed, proven bool) {
	if !l.any {
		return true, true
	}
	common, other := false, false
	for _, d := range l.digests {
		if slices.Contains(of, d) {
			return true, true
		}
		if slices.ContainsFunc(of, func(o integrity.Digest) bool { return o.Algorithm == d.Algorithm }) {
			common = true
		} else {
			other = true
		}
	}
	return other || !common && len(l.digests) > 0, false
}

// failed is the error for a file that has none of the digests.
func (l locked) failed(file string) error {
	if l.weak {
		return fault.Client(fault.InvalidChecksum, "Failed to verify checksum of %s against any of the provided hashes: md5 and sha1 alone do not count, give its sha256", file)
	}
	return fault.Client(fault.InvalidChecksum, "Failed to verify checksum of %s against any of the provided hashes", file)
}

// chosen is a distribution that is fetched for a requirement.
type chosen struct {
	distribution
	folder  string // name of the project as the file has it
	version string
	isWheel bool
}

// selector chooses files for requirements from the index.
type selector struct {
	binary       *binaryFilter
	refuseYanked bool
	log          *slog.Logger
}

// relevant reports whether a file can be one for the project and version; what it drops need not be kept.
func (s *selector) relevant(file, project, version string) bool {
	if _, _, _, ok := sdistName(file, project, version); ok {
		return true
	}
	if _, wheels := s.binary.wanted(project); !wheels || !strings.HasSuffix(file, wheelExtension) {
		return false
	}
	w, ok := parseWheel(file)
	return !ok && strings.HasPrefix(pep508.Canonical(file), pep508.Canonical(project)+"-") ||
		ok && pep508.Canonical(w.name) == pep508.Canonical(project) && pep440.Equal(w.version, version)
}

// choose returns the files for a pinned requirement: the best source distribution, and the wheels that
// the filter wants. There may only be none of either when the filter says that the requirement is for other
// platforms.
func (s *selector) choose(ctx context.Context, r *requirement, page []distribution, lock locked) ([]chosen, error) {
	wantSdist, wantWheels := s.binary.wanted(r.written)
	elsewhere := s.binary.excludes(r.condition)
	var files []chosen
	var refused []string // by their digest
	if wantWheels && !elsewhere {
		wheels, bad := s.wheels(ctx, r, page, lock)
		files = append(files, wheels...)
		refused = append(refused, bad...)
	}
	if wantSdist {
		sdist, bad, err := s.sdist(ctx, r, page, lock)
		if err != nil && len(files) == 0 {
			return nil, err
		}
		if sdist != nil {
			files = append(files, *sdist)
		}
		refused = append(refused, bad...)
	}
	switch {
	case len(files) > 0:
		return files, nil
	case wantWheels && elsewhere:
		s.log.InfoContext(ctx, "A requirement is not for the platform of the wheels and has no sdist: it is left out", "requirement", r.line)
		return nil, nil
	case len(refused) > 0:
		return nil, lock.failed(refused[0])
	case !wantWheels && !r.locked:
		return nil, fault.Client(fault.InvalidRequestData, "No sdists found for package %s==%s", r.written, r.version)
	case !wantSdist && !r.locked:
		return nil, fault.Client(fault.InvalidRequestData, "No wheels found for package %s==%s", r.written, r.version)
	}
	return nil, fault.Client(fault.InvalidRequestData, "No distributions found for package %s==%s", r.written, r.version)
}

// sdist finds the best source distribution: one that is not yanked, then .tar.gz, then .zip, then the
// first of the page. refused are those whose digest is not the locked one.
func (s *selector) sdist(ctx context.Context, r *requirement, page []distribution, lock locked) (best *chosen, refused []string, err error) {
	bestRank := 0
	for _, d := range page {
		name, version, ext, ok := sdistName(d.file, r.written, r.version)
		if !ok {
			continue
		}
		if allowed, _ := lock.allows(d.digests); !allowed {
			refused = append(refused, d.file)
			continue
		}
		rank := 1
		switch ext {
		case ".tar.gz":
			rank = 3
		case ".zip":
			rank = 2
		}
		if !d.yanked {
			rank += 10
		}
		if rank > bestRank {
			best, bestRank = &chosen{distribution: d, folder: name, version: version}, rank
		}
	}
	allYanked := best != nil && best.yanked
	if allYanked && s.refuseYanked {
		return nil, nil, fault.Client(fault.InvalidRequestData, "All sdists for package %s==%s are yanked", r.written, r.version)
	}
	if allYanked {
		s.log.WarnContext(ctx, "A version was yanked by its authors; it is fetched because the requirement pins it", "requirement", r.line, "file", best.file)
	}
	return best, refused, nil
}

// wheels finds the wheels that the filter wants, in the page's order.
func (s *selector) wheels(ctx context.Context, r *requirement, page []distribution, lock locked) (files []chosen, refused []string) {
	for _, d := range page {
		if !strings.HasSuffix(d.file, wheelExtension) {
			continue
		}
		w, ok := parseWheel(d.file)
		if !ok {
			s.log.WarnContext(ctx, "The index names a wheel whose file name is not valid; it is skipped", "requirement", r.line, "file", d.file)
			continue
		}
		if pep508.Canonical(w.name) != pep508.Canonical(r.written) || !pep440.Equal(w.version, r.version) || !s.binary.matches(w, d.requiresPython) {
			continue
		}
		if d.yanked {
			if s.refuseYanked {
				continue
			}
			s.log.WarnContext(ctx, "A version was yanked by its authors; it is fetched because the requirement pins it", "requirement", r.line, "file", d.file)
		}
		if allowed, _ := lock.allows(d.digests); !allowed {
			refused = append(refused, d.file)
			continue
		}
		files = append(files, chosen{distribution: d, folder: w.name, version: w.version, isWheel: true})
	}
	return files, refused
}
