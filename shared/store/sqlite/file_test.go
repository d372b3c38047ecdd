package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

var eggs = store.New{
	Repo: "https://github.com/org/eggs.git", Ref: strings.Repeat("a7", 20), PackageManagers: []string{"gomod"},
	Steps: []string{"source", "resolve-gomod", "bundle"},
}

func TestNewerSchemaIsRefused(t *testing.T) {
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "cachito.db")
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(`PRAGMA journal_mode = ` + journal + `; CREATE TABLE future (x); PRAGMA user_version = 99`); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), path)
			if err == nil {
				s.Close()
				t.Fatal("opened a file of schema 99")
			}
			for _, want := range []string{path, "99", "newer cachito", "another data folder"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed (%v)", err)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("files beside it: %v", left)
			}
		})
	}
}

func TestNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cachito.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path)
	if err == nil {
		s.Close()
		t.Fatal("opened a text file")
	}
	if !strings.Contains(err.Error(), path) {
		t.Errorf("error %q does not name the file", err)
	}
}

func TestReopen(t *testing.T) {
	for _, name := range []string{"cachito.db", "a b?c#d%20e&é.db"} {
		path := filepath.Join(t.TempDir(), name)
		s, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(t.Context(), eggs); err != nil {
			t.Fatal(err)
		}
		want, err := s.Update(t.Context(), 1, store.Update{
			State: request.StateComplete, Reason: "x", Bundle: &request.Bundle{Key: "b"}, PackagesCount: new(int64(3)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.AddConfigFiles(t.Context(), 1, []request.ConfigFile{{Path: "p", Key: "k"}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		again := open(t, path)
		got, err := again.Get(t.Context(), 1)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: request after reopening (%v) (-want +got):\n%s", name, err, diff)
		}
		files, err := again.ConfigFiles(t.Context(), 1)
		if err != nil || len(files) != 1 {
			t.Errorf("configuration files: %v, %v", files, err)
		}
		next, err := again.Create(t.Context(), eggs)
		if err != nil || next.ID != 2 {
			t.Errorf("next id: got %d, %v, want 2", next.ID, err)
		}
	}
}

func TestTwoHandles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cachito.db")
	const handles, each = 6, 20
	stores := make([]*Store, handles)
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() { // all make the file at once
			var err error
			if stores[i], err = Open(t.Context(), path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, s := range stores {
		wg.Go(func() {
			defer s.Close()
			for range each {
				req, err := s.Create(t.Context(), eggs)
				if err == nil {
					_, err = s.Update(t.Context(), req.ID, store.Update{State: request.StateComplete, Reason: "x"})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	c, err := open(t, path).Counts(t.Context())
	if err != nil || c.Total != handles*each || c.ByState[request.StateComplete] != handles*each {
		t.Errorf("counts: got %+v, %v, want %d complete", c, err, handles*each)
	}
}

func TestSetTimes(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "cachito.db"))
	if _, err := s.Create(t.Context(), eggs); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), 1, store.Update{State: request.StateComplete, Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
	if err := s.SetTimes(t.Context(), 1, new(time.Time), []time.Time{at, at.Add(10 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), 1)
	if err != nil || !got.Created.IsZero() || !got.Updated.Equal(at.Add(10*time.Second)) || !got.History[1].At.Equal(at) {
		t.Errorf("request: got %+v, %v", got, err)
	}
	m, err := s.Metrics(t.Context(), store.MetricsFilter{}, store.Page{Number: 1, PerPage: 1})
	if err != nil || len(m.Metrics) != 1 || m.Metrics[0].Duration != 10*time.Second {
		t.Errorf("metrics: got %+v, %v", m, err)
	}
	// Requests without a creation time match no bound.
	list, err := s.List(t.Context(), store.Filter{CreatedTo: time.Now()}, store.Page{Number: 1, PerPage: 1})
	if err != nil || list.Total != 0 {
		t.Errorf("list: got %+v, %v", list, err)
	}
	if err := s.SetTimes(t.Context(), 2, nil, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}
