package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/store/sqlite/sqlitetest"
)

// table is every row of a query, as text.
func table(t *testing.T, s *Store, query string) []string {
	t.Helper()
	rows, err := s.write.db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for rows.Next() {
		values, pointers := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.TrimSuffix(fmt.Sprintln(values...), "\n"))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestCopy: what sqlitetest.Copy writes beside the requests is what the store derives from them.
func TestCopy(t *testing.T) {
	const n = 2345
	s := open(t, filepath.Join(t.TempDir(), "cachito.db"))
	bundle := request.Bundle{Key: "bundles/1", SHA256: strings.Repeat("0", 64), Size: 1}
	for _, u := range []store.Update{
		{State: request.StateComplete, Reason: "done", Bundle: &bundle},
		{State: request.StateFailed, Reason: "no", ErrorOrigin: "client", ErrorType: "InvalidChecksum"},
		{State: request.StateInProgress, Reason: "busy", Once: "busy"},
	} {
		req, err := s.Create(t.Context(), eggs)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.AddConfigFiles(t.Context(), req.ID, []request.ConfigFile{{Path: "app/.npmrc", Key: "configfiles/1"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(t.Context(), req.ID, u); err != nil {
			t.Fatal(err)
		}
	}
	tables := map[string]string{
		"list_index": `SELECT filter, value, id FROM list_index`, "list_block": `SELECT filter, value, block, n FROM list_block WHERE n > 0`,
		"reference": `SELECT key, request_id FROM reference`, "metric": `SELECT id, state, duration FROM metric`,
		"row":  `SELECT id, created, updated, state, repo_name, ref FROM request`,
		"once": `SELECT request_id, name FROM once`, "config_file": `SELECT request_id, path, key FROM config_file`, "completed": `SELECT n FROM completed`,
	}
	if err := sqlitetest.Copy(t.Context(), s.DB(), n); err != nil {
		t.Fatal(err)
	}

	want := map[string][]string{}
	add := func(name string, values ...any) {
		want[name] = append(want[name], strings.TrimSuffix(fmt.Sprintln(values...), "\n"))
	}
	blocks := map[string]int{}
	completed := 0
	for id := int64(1); id <= n; id++ {
		req, err := s.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if id > 3 && (req.ID != id || req.Repo != sqlitetest.RepoURL(id) || req.Ref != sqlitetest.Ref(id)) {
			t.Fatalf("request %d: got %+v", id, req)
		}
		if !req.Updated.Equal(req.History[0].At) || req.State != req.History[0].State {
			t.Fatalf("request %d is of %s, its history says %+v", id, req.Updated, req.History[0])
		}
		for _, v := range store.FilterValues(req) {
			add("list_index", v.Filter, v.Value, id)
			blocks[fmt.Sprintln(v.Filter, v.Value, id/blockSize)]++
		}
		for _, key := range store.References(&req) {
			add("reference", key, id)
		}
		add("row", id, req.Created.UnixMicro(), req.Updated.UnixMicro(), req.State, store.RepoName(req.Repo), req.Ref)
		add("config_file", id, "app/.npmrc", "configfiles/1")
		first, last := req.History[len(req.History)-1].At, req.History[0].At
		switch req.State {
		case request.StateInProgress:
			add("once", id, "busy")
		case request.StateComplete:
			completed++
			fallthrough
		default:
			add("metric", id, req.State, last.Sub(first).Microseconds())
		}
	}
	for block, count := range blocks {
		add("list_block", strings.TrimSuffix(block, "\n"), count)
	}
	add("completed", completed)
	for name, query := range tables {
		got := table(t, s, query)
		slices.Sort(got)
		slices.Sort(want[name])
		if diff := cmp.Diff(want[name], got); diff != "" {
			t.Errorf("%s (-want +got):\n%.2000s", name, diff)
		}
	}
}
