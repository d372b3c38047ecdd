package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/emulatortest"
)

// on is a process whose objects lie in a bucket.
func (w *world) on(t *testing.T, s emulatortest.Server, m *emulatortest.Meter) *process {
	t.Helper()
	bucket := s.Blob(t, m)
	pr := w.start(-1, func(_ *Settings, d *Deps) { d.Blobs = bucket })
	pr.blobs = bucket
	t.Cleanup(pr.close)
	return pr
}

// TestBytesThroughTheFunctionAWS: on S3 a bundle's dependencies go through the bundle step once. For a new commit with
// the same lockfile only app/ does, for the same commit nothing; and the bytes are those of the embedded service.
func TestBytesThroughTheFunctionAWS(t *testing.T) {
	const (
		dep   = 13 << 20 // each of two; one is compressed already
		app   = 3 << 20
		small = 256 << 10 // records, packages data, the beginnings of objects
	)
	for _, s := range []emulatortest.Server{emulatortest.Ministack, emulatortest.Versitygw} {
		t.Run(s.Name, func(t *testing.T) {
			m := &emulatortest.Meter{}
			w := newWorld(t)
			pr := w.on(t, s, m)
			url, refs := w.project(dep, app)
			embedded := w.onOtherData(t).start(-1)
			t.Cleanup(embedded.close)
			for _, c := range []struct {
				name, ref string
				bytes     int64 // each way
				copies    int
			}{
				{"first build", refs[0], 2*dep + app, 0},
				{"new commit, same lockfile", refs[1], app, 1},
				{"same commit", refs[1], 0, 0},
			} {
				var u emulatortest.Usage
				req := pr.finishCounted(t, url, c.ref, func() { m.Taken() }, func(step string) {
					if step == StepBundle {
						u = m.Taken()
					}
				})
				t.Logf("%s, a bundle of %d bytes: %v", c.name, req.Bundle.Size, u)
				if s == emulatortest.Versitygw && c.copies > 0 {
					// It copies, and checks the parts' sizes, but takes the checksum of the whole source for that of
					// the range: the copy is refused, and everything goes through the function again.
					c.bytes += 2*dep + app
				}
				for way, got := range map[string]int64{"received": u.Received, "sent": u.Sent} {
					if got < c.bytes || got > c.bytes+small {
						t.Errorf("%s: %d bytes %s, want %d and a little", c.name, got, way, c.bytes)
					}
				}
				if got := u.Of("s3 UploadPartCopy"); got != c.copies {
					t.Errorf("%s: %d copies inside S3, want %d", c.name, got, c.copies)
				}
				pr.unpacked(t, req) // digest, and every file once
				want := embedded.finish(t, url, c.ref, nil, "synthetic")
				if diff := cmp.Diff(*want.Bundle, *req.Bundle); diff != "" {
					t.Errorf("%s (-embedded +S3):\n%s", c.name, diff)
				}
			}
		})
	}
}

// TestSmallBeginningAWS: what is too small for a part of S3's goes through the function with what follows.
func TestSmallBeginningAWS(t *testing.T) {
	for _, s := range []emulatortest.Server{emulatortest.Ministack, emulatortest.Versitygw} {
		t.Run(s.Name, func(t *testing.T) {
			w := newWorld(t)
			pr := w.on(t, s, &emulatortest.Meter{})
			url, refs := w.project(1<<20, 6<<20)
			embedded := w.onOtherData(t).start(-1)
			t.Cleanup(embedded.close)
			for _, ref := range refs {
				got, want := pr.finish(t, url, ref, nil, "synthetic"), embedded.finish(t, url, ref, nil, "synthetic")
				if got.Bundle == nil || *got.Bundle != *want.Bundle {
					t.Errorf("the request is %s (%s), bundle %v, want %v", got.State, got.StateReason, got.Bundle, want.Bundle)
				}
				pr.unpacked(t, got)
			}
		})
	}
}
