package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/blob"
)

// Pruning keeps the storage under its limit, and removes bundles that nobody needs any more. A pass walks the whole
// storage in the order of keys, and adds up how many bytes were last used when; if there are too many, a second walk
// removes what was not used for so long that the rest fits. So the least recently used goes, to within a
// twentieth of its age, in memory that does not grow with the storage. Both walks go a slice at a time, because the
// run of a function is short, and where they are stands in the storage, because a function remembers nothing.

const (
	// pruneStateKey is where a pass goes on.
	pruneStateKey = "reaper/prune.json"
	// pruneSlice is how many objects one run of the reaper looks at: 200 lists on S3, and at most as many
	// deletions.
	pruneSlice = 100_000
	// pruneBatch objects are removed in one call, at the latest when so many more were looked at: what is listed
	// now may be used in a moment.
	pruneBatch = 500
	// pruneStop is how long before its end a run of the reaper stops.
	pruneStop = 20 * time.Second
	// classesPerOctave of age: objects of one class differ by less than a twentieth.
	classesPerOctave = 16
	// prunePace is how many objects a pass may have looked at for each minute until the next one begins: their
	// lists cost 40 calls a minute on S3, a dollar in three days, however large the storage is.
	prunePace = 20_000
	// pruneGrace is how long what was used lately stays, however full the storage is: a running request may have
	// found it and not used it yet.
	pruneGrace = time.Hour
	// renewals in that time, at most.
	renewals = 4
	// maxPruneStateBytes is more than a state with every class there can be has.
	maxPruneStateBytes = 256 << 10
)

// pruneState is a pass under way, or the last one.
type pruneState struct {
	// Started is when the pass began; ages are those of then.
	Started time.Time `json:"started"`
	Ended   bool      `json:"ended,omitempty"`
	// After is the last key that was looked at.
	After string `json:"after,omitempty"`
	// Objects and Bytes were found by the first walk; Ages holds those of them that may go, by the class of their age.
	Objects int64         `json:"objects"`
	Bytes   int64         `json:"bytes"`
	Ages    map[int]int64 `json:"ages,omitempty"`
	// Sweep: it is the second walk, which removes Excess bytes of class Class and older.
	Sweep  bool  `json:"sweep,omitempty"`
	Class  int   `json:"class,omitempty"`
	Excess int64 `json:"excess,omitempty"`
	// Freed so far.
	Freed int64 `json:"freed,omitempty"`
}

// pruneCache does a slice of a pass, when one is under way or due.
func (p *Pipeline) pruneCache(ctx context.Context) error {
	var s pruneState
	err := p.getSealed(ctx, pruneStateKey, maxPruneStateBytes, &s)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("pruning the cache: %w", err)
	}
	if err != nil || s.Ended {
		if p.Clock().Sub(s.Started) < max(time.Minute, time.Duration(s.Objects)*time.Minute/prunePace) {
			return nil
		}
		s = pruneState{Started: p.Clock().UTC()}
	}
	if s.Ages == nil {
		s.Ages = map[int]int64{}
	}
	walking := p.pruneSlice(ctx, &s)
	// What a slice has done stands, also when it ended early: the next one goes on there.
	saving := p.putSealed(context.WithoutCancel(ctx), pruneStateKey, s, true)
	if err := errors.Join(walking, saving); err != nil {
		return fmt.Errorf("pruning the cache: %w", err)
	}
	return nil
}

func (p *Pipeline) pruneSlice(ctx context.Context, s *pruneState) error {
	for left := p.pruneSize; left > 0 && !s.Ended; {
		atEnd, err := p.pruneWalk(ctx, s, &left)
		if err != nil || !atEnd {
			return err
		}
		p.nextWalk(ctx, s)
	}
	return nil
}

// nextWalk decides what follows a walk that has come to its end.
func (p *Pipeline) nextWalk(ctx context.Context, s *pruneState) {
	excess := s.Bytes - p.settings.CacheMaxBytes
	if s.Sweep || p.settings.CacheMaxBytes <= 0 || excess <= 0 {
		s.Ended = true
		if s.Freed > 0 {
			p.Log.InfoContext(ctx, "cache pruned", "bytes", s.Freed, "bytes_before", s.Bytes)
		}
		return
	}
	*s = pruneState{Started: s.Started, Objects: s.Objects, Bytes: s.Bytes, Ages: s.Ages, Sweep: true, Excess: excess, Freed: s.Freed}
	var mayGo int64
	classes := slices.Sorted(maps.Keys(s.Ages))
	for _, class := range slices.Backward(classes) {
		s.Class = class
		if mayGo += s.Ages[class]; mayGo >= excess {
			break
		}
	}
	if mayGo < excess {
		p.Log.WarnContext(ctx, "cache over its limit, and in use", "bytes", s.Bytes, "limit", p.settings.CacheMaxBytes, "can_go", mayGo)
		s.Ended = len(classes) == 0
	}
}

// pruneWalk looks at objects, at *left at most, and tells whether it came to the end.
func (p *Pipeline) pruneWalk(ctx context.Context, s *pruneState, left *int) (atEnd bool, err error) {
	var batch []string
	var bytes int64
	looked := 0 // since the batch began
	remove := func(last string) error {
		if len(batch) > 0 {
			if err := p.Blobs.Delete(ctx, batch...); err != nil {
				return err
			}
		}
		s.Freed, s.Excess, s.After = s.Freed+bytes, s.Excess-bytes, last
		batch, bytes, looked = nil, 0, 0
		return nil
	}
	prefix := ""
	if p.settings.CacheMaxBytes <= 0 {
		prefix = bundlesPrefix // nothing else goes
	}
	last := s.After
	for info, err := range p.Blobs.ListAfter(ctx, prefix, s.After) {
		if err != nil {
			return false, errors.Join(err, remove(last))
		}
		if *left == 0 || endsSoon(ctx) {
			return false, remove(last)
		}
		*left--
		class, goes := p.pruneClass(s, info)
		switch {
		case s.Sweep && goes && class >= s.Class:
			batch, bytes = append(batch, info.Key), bytes+info.Size
		case !s.Sweep && goes:
			s.Ages[class] += info.Size
		case !s.Sweep && path.Base(info.Key) == bundleArchive:
			if err := p.pruneBundle(ctx, s, info); err != nil { // it must not keep the others
				p.Log.ErrorContext(ctx, "bundle not pruned", "key", info.Key, "error", err)
			}
		}
		if !s.Sweep && info.Key != pruneStateKey {
			s.Objects, s.Bytes = s.Objects+1, s.Bytes+info.Size
		}
		if last = info.Key; len(batch) == 0 {
			s.After = last
		} else {
			looked++
		}
		if looked == pruneBatch || s.Sweep && bytes >= s.Excess {
			if err := remove(last); err != nil {
				return false, err
			}
			if s.Excess <= 0 {
				return true, nil
			}
		}
	}
	return true, remove("")
}

// endsSoon: a function's time is nearly over.
func endsSoon(ctx context.Context) bool {
	end, limited := ctx.Deadline()
	return limited && time.Until(end) < pruneStop
}

const bundlesPrefix = "bundles/"

// pruneClass is the class of an object's age, if it may go for the sake of the limit: some are no cache, and what was
// used lately a running request may have found and not used yet.
func (p *Pipeline) pruneClass(s *pruneState, info blob.Info) (class int, mayGo bool) {
	kept := p.settings.CacheGrace
	first, _, _ := strings.Cut(info.Key, "/")
	switch first + "/" {
	case bundlesPrefix, "logs/", "configfiles/", "reaper/":
		return 0, false // they go with their requests
	case "results/":
		longest := p.longestLifetime()
		if longest <= 0 {
			return 0, false
		}
		kept = max(kept, longest)
	}
	age := s.Started.Sub(info.LastUse)
	if age < kept || age < time.Second {
		return 0, false
	}
	return int(math.Log2(age.Seconds()) * classesPerOctave), true
}

// longestLifetime of a request, after which nothing new can refer to what was not used since; 0: for ever.
func (p *Pipeline) longestLifetime() time.Duration {
	if p.settings.Lifetime <= 0 || p.settings.LifetimeFailed <= 0 {
		return 0
	}
	return max(p.settings.Lifetime, p.settings.LifetimeFailed)
}

// pruneBundle drops a bundle that was used too lately when its last request became stale.
func (p *Pipeline) pruneBundle(ctx context.Context, s *pruneState, info blob.Info) error {
	longest := p.longestLifetime()
	if longest <= 0 || p.Clock().Sub(info.LastUse) < longest {
		return nil
	}
	gone, err := p.dropBundle(ctx, info.Key)
	if gone {
		s.Freed += info.Size
		s.Bytes -= info.Size
	}
	return err
}

// renewer keeps what is used from being pruned. On S3 a renewal costs more than everything else that is asked of an
// object of the cache, so it is left out while the last one is young beside the time for which objects stay.
type renewer struct {
	blobs blob.Blob
	clock func() time.Time
	every time.Duration
}

// use makes sure that an object is there, and that it stays for a while. blob.ErrNotFound.
func (r renewer) use(ctx context.Context, key string) (blob.Info, error) {
	info, err := r.blobs.Stat(ctx, key)
	if err != nil {
		return info, err
	}
	return info, r.renew(ctx, info)
}

// renew renews an object's last use, and that of others which are found by the same use and go with it.
func (r renewer) renew(ctx context.Context, info blob.Info, others ...string) error {
	if r.clock().Sub(info.LastUse) < r.every {
		return nil
	}
	for _, key := range append([]string{info.Key}, others...) {
		if err := r.blobs.Touch(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
