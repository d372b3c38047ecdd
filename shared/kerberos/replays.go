package kerberos

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/messages"
)

// MaxReplays is how many accepted tokens are remembered at a time. A token is remembered for as long as it
// would be accepted, which is at most twice the clock skew: with the usual five minutes there is room for
// some 430 logins a second. Together they take some 6 MB.
const MaxReplays = 1 << 18

var (
	errReplayed    = errors.New("it was used before")
	errReplaysFull = fmt.Errorf("%d others came within twice the clock skew, and no more can be remembered; lower CACHITO_KERBEROS_MAX_SKEW", MaxReplays)
)

// digest stands for an authenticator. 128 bits are plenty: finding two that are equal would only get one's
// own second token refused.
type digest [16]byte

// digestOf takes what RFC 4120, 3.2.3, names (service, client, time) and the rest of the authenticator, so
// that two programs of one user may log in within the same microsecond.
func digestOf(r *messages.APReq) digest {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q ", r.Ticket.Realm, r.Ticket.SName.NameString, r.Authenticator.CRealm, r.Authenticator.CName.NameString)
	fmt.Fprintf(h, "%d %d %d %d %x", r.Authenticator.CTime.Unix(), r.Authenticator.Cusec, r.Authenticator.SeqNumber, r.Authenticator.SubKey.KeyType, r.Authenticator.SubKey.KeyValue)
	var d digest
	copy(d[:], h.Sum(nil))
	return d
}

// replays remembers tokens until they would not be accepted any more. The zero value is empty. Which ones can go
// is decided by the minute, and a minute goes as a whole, so forgetting costs next to nothing, needs no
// goroutine and gives its memory back.
type replays struct {
	mu      sync.Mutex
	minutes map[int64]map[digest]struct{} // by the minute in which they end
	size    int
	swept   int64 // the minute of the last clearing
}

// add remembers a token that is good until then. It is a replay if it was there already.
func (r *replays) add(d digest, now, until time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if minute := minuteOf(now); minute != r.swept {
		r.swept = minute
		for m, tokens := range r.minutes {
			if m < minute {
				r.size -= len(tokens)
				delete(r.minutes, m)
			}
		}
	}
	// Until is made from the token alone, so an equal one is in the same minute.
	m := minuteOf(until)
	if _, ok := r.minutes[m][d]; ok {
		return errReplayed
	}
	if r.size >= MaxReplays {
		return errReplaysFull
	}
	if r.minutes == nil {
		r.minutes = map[int64]map[digest]struct{}{}
	}
	if r.minutes[m] == nil {
		r.minutes[m] = map[digest]struct{}{}
	}
	r.minutes[m][d] = struct{}{}
	r.size++
	return nil
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }
