package gomod

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
)

func plainZip(t testing.TB, comment string, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		// Stored: a compressor for each of 70,000 files takes minutes under the race detector.
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SetComment(comment); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpackedBytes is what archive/zip and eachZipEntry say of an archive.
func unpackedBytes(data []byte) (want, got uint64, wantErr, gotErr error) {
	z, wantErr := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if wantErr == nil || errors.Is(wantErr, zip.ErrInsecurePath) {
		for _, f := range z.File {
			want += f.UncompressedSize64
		}
		wantErr = nil
	}
	gotErr = eachZipEntry(bytes.NewReader(data), int64(len(data)), MaxZipDirectoryBytes, func(n uint64) error { got += n; return nil })
	return want, got, wantErr, gotErr
}

func TestEachZipEntry(t *testing.T) {
	many := map[string]string{}
	for i := range 70_000 { // more than a zip without zip64 can have
		many[fmt.Sprintf("m@v1.0.0/f%d", i)] = "x"
	}
	zip64 := plainZip(t, "", many)
	for name, data := range map[string][]byte{
		"one file":         plainZip(t, "", map[string]string{"m@v1.0.0/go.mod": "module m\n"}),
		"no file":          plainZip(t, "", nil),
		"with a comment":   plainZip(t, "PK\x05\x06 is not the end", map[string]string{"a": "b"}),
		"something before": append([]byte("#!/bin/sh\n"), plainZip(t, "", map[string]string{"a": "bc"})...),
		"zip64":            zip64,
	} {
		t.Run(name, func(t *testing.T) {
			want, got, wantErr, gotErr := unpackedBytes(data)
			if wantErr != nil || gotErr != nil || got != want {
				t.Errorf("got %d (%v), archive/zip says %d (%v)", got, gotErr, want, wantErr)
			}
		})
	}
	t.Run("too many files", func(t *testing.T) {
		err := eachZipEntry(bytes.NewReader(zip64), int64(len(zip64)), 1<<20, func(uint64) error { return nil })
		if !errors.Is(err, errDirectoryTooLarge) {
			t.Errorf("got %v, want errDirectoryTooLarge", err)
		}
	})
}

// twoTables is a zip whose end record leads to one table of contents by its length and to another,
// larger one by its offset, which is the one that archive/zip reads.
func twoTables(t testing.TB) []byte {
	t.Helper()
	table := func(data []byte) (offset, end int) {
		end = len(data) - endBytes
		return int(binary.LittleEndian.Uint32(data[end+16:])), end
	}
	large := plainZip(t, "", map[string]string{"a": string(make([]byte, 100_000))})
	small := plainZip(t, "", map[string]string{"b": "x"})
	largeAt, largeEnd := table(large)
	smallAt, smallEnd := table(small)
	data := append(slices.Clone(large[:largeEnd]), 0, 0, 0, 0)
	data = append(data, small[smallAt:]...)
	binary.LittleEndian.PutUint32(data[len(data)-(len(small)-smallEnd)+16:], uint32(largeAt))
	return data
}

func TestArchiveWithTwoTablesIsRefused(t *testing.T) {
	want, _, wantErr, gotErr := unpackedBytes(twoTables(t))
	if wantErr != nil || want != 100_000 {
		t.Fatalf("archive/zip says %d (%v), want 100000: the archive does not show the case", want, wantErr)
	}
	if !errors.Is(gotErr, errNoZip) {
		t.Errorf("got %v, want errNoZip", gotErr)
	}
}

func FuzzZipDirectory(f *testing.F) {
	f.Add(plainZip(f, "", map[string]string{"m@v1.0.0/go.mod": "module m\n", "m@v1.0.0/m.go": "package m\n"}))
	f.Add(plainZip(f, "comment", nil))
	f.Add(twoTables(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, got, wantErr, gotErr := unpackedBytes(data)
		// What Go can read must be counted in full: an archive must not look smaller to us.
		if wantErr == nil && gotErr == nil && got < want {
			t.Errorf("got %d bytes, archive/zip unpacks %d", got, want)
		}
	})
}
