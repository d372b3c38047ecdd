package kerberos

import (
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"
)

func numbered(i int) (d digest) {
	binary.BigEndian.PutUint64(d[:], uint64(i)*0x9e3779b97f4a7c15)
	return d
}

// TestReplaysForget: what would not be accepted any more is forgotten, and only that.
func TestReplaysForget(t *testing.T) {
	var r replays
	const perMinute, minutes = 100, 60
	for i := range minutes * perMinute {
		at := now.Add(time.Duration(i) * time.Minute / perMinute)
		if err := r.add(numbered(i), at, at.Add(10*time.Minute)); err != nil {
			t.Fatal(err)
		}
		// Ten minutes' worth, and the parts of minutes at both ends.
		if most := 12 * perMinute; r.size > most {
			t.Fatalf("%d tokens are remembered, want no more than %d", r.size, most)
		}
		if oldest := i - 10*perMinute + 1; oldest >= 0 {
			made := now.Add(time.Duration(oldest) * time.Minute / perMinute)
			if err := r.add(numbered(oldest), at, made.Add(10*time.Minute)); !errors.Is(err, errReplayed) {
				t.Fatalf("token %d, that is still good, was forgotten: %v", oldest, err)
			}
		}
	}
	later := now.Add(24 * time.Hour)
	if err := r.add(numbered(-1), later, later.Add(10*time.Minute)); err != nil || r.size != 1 || len(r.minutes) != 1 {
		t.Errorf("a day later: %v, %d tokens, %d minutes; want one", err, r.size, len(r.minutes))
	}
}

// TestReplaysAreBounded: a flood fills the memory that is set aside and no more; what is remembered stays
// remembered, and with time there is room again.
func TestReplaysAreBounded(t *testing.T) {
	var r replays
	before := heap()
	for i := range MaxReplays {
		if err := r.add(numbered(i), now, now.Add(time.Duration(i%600)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	used := heap() - before
	t.Logf("%d tokens take %.1f MB", MaxReplays, float64(used)/1e6)
	if most := int64(12e6); used > most {
		t.Errorf("%d tokens take %d bytes, want no more than %d", MaxReplays, used, most)
	}
	if err := r.add(numbered(MaxReplays), now, now.Add(time.Minute)); !errors.Is(err, errReplaysFull) {
		t.Errorf("one more: %v, want %v", err, errReplaysFull)
	}
	if err := r.add(numbered(7), now, now.Add(7*time.Second)); !errors.Is(err, errReplayed) {
		t.Errorf("a replay when full: %v, want %v", err, errReplayed)
	}
	if err := r.add(numbered(MaxReplays), now.Add(time.Minute), now.Add(2*time.Minute)); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkAccept is what a login costs: two decryptions, the checks, and the proof.
func BenchmarkAccept(b *testing.B) {
	f := newForge(b)
	f.options = mutual
	a := f.acceptor(b, Settings{})
	tokens := make([][]byte, b.N)
	for i := range tokens {
		f.client.SeqNumber = int64(i)
		tokens[i] = f.token(b)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, token := range tokens {
		if _, _, err := a.Accept(token, "192.0.2.1:4711"); err != nil {
			b.Fatal(err)
		}
	}
}
