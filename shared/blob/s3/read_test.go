package s3

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
)

// TestReadingBreaksOff: reads go on where they broke off.
func TestReadingBreaksOff(t *testing.T) {
	var cuts atomic.Int32
	b := ministack.open(t, cutting{&cuts})
	want := content(beginning + 3*lastWindow)
	if err := b.Put(t.Context(), "k", want, true); err != nil {
		t.Fatal(err)
	}
	same(t, "Open", get(t, b, "k"), want)
	cuts.Store(0)
	got, err := b.Get(t.Context(), "k", int64(len(want)))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Get", got, want)
	o, err := b.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	cuts.Store(0)
	got, err = io.ReadAll(io.NewSectionReader(o, 0, o.Info().Size))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "ReadAt", got, want)
	if cuts.Load() < 3 {
		t.Errorf("only %d answers were cut", cuts.Load())
	}
}

// cutting is a network on which every second answer that holds an object ends early.
type cutting struct{ n *atomic.Int32 }

// RoundTrip implements http.RoundTripper.
func (c cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := awsclienttest.Transport().RoundTrip(r)
	if err != nil || operation(r) != "GetObject" || c.n.Add(1)%2 == 0 {
		return res, err
	}
	body := res.Body
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(body, 100_000), broken{}), body}
	return res, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestOverwrittenWhileRead: a reader never mixes two versions.
func TestOverwrittenWhileRead(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			b := s.open(t, nil)
			first := content(beginning + 1000)
			if err := b.Put(t.Context(), "k", first, true); err != nil {
				t.Fatal(err)
			}
			o, err := b.Open(t.Context(), "k")
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if err := b.Touch(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 500)
			if _, err := o.ReadAt(buf, beginning); err != nil {
				t.Fatalf("after Touch: %v", err)
			}
			same(t, "after Touch", buf, first[beginning:beginning+500])
			if err := b.Put(t.Context(), "k", content(len(first)), true); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(o)
			if !errors.Is(err, errOverwritten) || !bytes.Equal(got, first[:len(got)]) {
				t.Errorf("got %d bytes, %v, want the beginning of the first version and errOverwritten", len(got), err)
			}
		})
	}
}

// TestReadAtCosts: reading through an object in small pieces takes few calls.
func TestReadAtCosts(t *testing.T) {
	l := &awsclienttest.Losing{Base: awsclienttest.Transport(), Operation: operation}
	b := ministack.open(t, l)
	want := content(8 << 20)
	if err := b.Put(t.Context(), "k", want, true); err != nil {
		t.Fatal(err)
	}
	o, err := b.Open(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	var got []byte
	for at := int64(0); at < o.Info().Size; at += 4096 {
		buf := make([]byte, min(4096, o.Info().Size-at))
		if _, err := o.ReadAt(buf, at); err != nil {
			t.Fatal(err)
		}
		got = append(got, buf...)
	}
	same(t, "object", got, want)
	if n := l.Calls("GetObject"); n > 12 {
		t.Errorf("%d calls for 2048 pieces of 4 KiB, want at most 12", n)
	}
}
