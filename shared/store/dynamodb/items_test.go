package dynamodb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/awsclient"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/store"
)

// whole is the transport of tests that need no faults.
var whole = awsclient.WholeAnswers(http.DefaultTransport)

// TestSeveralProcesses: stores that share nothing but the table allot ids without gaps and lose no update.
func TestSeveralProcesses(t *testing.T) {
	first := open(t, whole)
	const processes, rounds = 4, 10
	var mu sync.Mutex
	var ids []int64
	var wg sync.WaitGroup
	for n := range processes {
		s := New(newClient(emulator(t), whole), first.table, WithPatience(testPatience))
		wg.Go(func() {
			for round := range rounds {
				req, err := s.Create(t.Context(), newRequest())
				if err != nil {
					t.Errorf("Create: %v", err)
					return
				}
				_, err = s.Update(t.Context(), 1, store.Update{Results: map[string]string{fmt.Sprintf("%d-%d", n, round): "r"}})
				if err != nil {
					t.Errorf("Update: %v", err)
				}
				mu.Lock()
				ids = append(ids, req.ID)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(ids)
	var want []int64
	for id := range int64(processes * rounds) {
		want = append(want, id+1)
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	got, err := first.Get(t.Context(), 1)
	if err != nil || len(got.Results) != processes*rounds {
		t.Errorf("results: got %d, %v, want %d", len(got.Results), err, processes*rounds)
	}
}

// TestTornRead: a Query may see a part of a transaction that is being written.
func TestTornRead(t *testing.T) {
	s := open(t, whole)
	req, err := s.Create(t.Context(), newRequest())
	if err != nil {
		t.Fatal(err)
	}
	second := request.StateChange{State: request.StateInProgress, Reason: "second", At: req.Created}
	put := func(i item) {
		t.Helper()
		if _, err := s.db.PutItem(t.Context(), &sdk.PutItemInput{TableName: &s.table, Item: i}); err != nil {
			t.Fatal(err)
		}
	}
	put(historyItem(1, 2, second))
	got, err := s.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(req, got); diff != "" {
		t.Errorf("with an entry newer than the row (-want +got):\n%s", diff)
	}
	r, err := s.readRow(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	r.entries = 3
	i, err := r.item()
	if err != nil {
		t.Fatal(err)
	}
	put(i)
	s.patience = 50 * time.Millisecond
	if _, err := s.Get(t.Context(), 1); !errors.Is(err, store.ErrBusy) || !errors.Is(err, errTorn) {
		t.Errorf("with an entry missing: got %v, want ErrBusy because of errTorn", err)
	}
	s.patience = testPatience
	time.AfterFunc(30*time.Millisecond, func() {
		third := historyItem(1, 3, request.StateChange{State: request.StateInProgress, Reason: "third", At: req.Created})
		if _, err := s.db.PutItem(context.Background(), &sdk.PutItemInput{TableName: &s.table, Item: third}); err != nil {
			t.Errorf("writing the third entry: %v", err)
		}
	})
	if got, err = s.Get(t.Context(), 1); err != nil || len(got.History) != 3 || got.History[0].Reason != "third" {
		t.Errorf("once it is there: got %v, %v, want 3 entries", got.History, err)
	}
}

// TestDamaged: what is not ours in the table is an error that names the request.
func TestDamaged(t *testing.T) {
	s := open(t, whole)
	deflated := func(text string) types.AttributeValue {
		i, err := (&row{body: []byte(text), req: request.Request{}}).item()
		if err != nil {
			t.Fatal(err)
		}
		return i[attrBody]
	}
	for id, c := range map[int64]struct {
		name string
		body types.AttributeValue
	}{
		1: {"not deflated", &types.AttributeValueMemberB{Value: []byte("x")}},
		2: {"no body", number(1)},
		3: {"no JSON", deflated("x")},
		4: {"too large", deflated(`"` + strings.Repeat(" ", store.MaxItemBytes) + `"`)},
	} {
		i := rowKey(id).attributes()
		i[attrBody], i[attrHistory] = c.body, number(0)
		if _, err := s.db.PutItem(t.Context(), &sdk.PutItemInput{TableName: &s.table, Item: i}); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("request %d is damaged", id)
		if _, err := s.Get(t.Context(), id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", c.name, err, want)
		}
	}
}

// TestLargeThings: what is larger than one answer, one batch, one transaction or one key.
func TestLargeThings(t *testing.T) {
	s := open(t, whole)
	long := "https://example.com/" + strings.Repeat("x", 5000)
	n := newRequest()
	n.Repo, n.Token = long, strings.Repeat("token", 1000)
	for range 2 {
		if req, err := s.Create(t.Context(), n); err != nil || req.ID != 1 {
			t.Fatalf("Create: got id %d, %v, want 1", req.ID, err)
		}
	}
	t.Run("keys", func(t *testing.T) {
		for _, repo := range []string{long, long + "x", "\xff"} {
			want := int64(0)
			if repo == long {
				want = 1
			}
			list, err := s.List(t.Context(), store.Filter{Repo: repo}, store.Page{Number: 1, PerPage: 10})
			if err != nil || list.Total != want || int64(len(list.Requests)) != want {
				t.Errorf("list of %.30q...: got %d of %d, %v, want %d", repo, len(list.Requests), list.Total, err, want)
			}
		}
		if req, err := s.Latest(t.Context(), store.RepoName(long), n.Ref); err != nil || req.ID != 1 {
			t.Errorf("Latest: got %d, %v, want 1", req.ID, err)
		}
		key := "sources/" + strings.Repeat("y", 3000)
		for range 2 {
			u := store.Update{State: request.StateInProgress, Reason: "x", Once: strings.Repeat("once", 500), Source: &key}
			if req, err := s.Update(t.Context(), 1, u); err != nil || len(req.History) != 2 {
				t.Errorf("Update: got %d entries, %v, want 2", len(req.History), err)
			}
		}
		if found, err := s.Referenced(t.Context(), key); err != nil || !found {
			t.Errorf("Referenced: got %v, %v, want true", found, err)
		}
	})
	t.Run("a history of more than one answer", func(t *testing.T) {
		for n := range 12 {
			u := store.Update{State: request.StateInProgress, Reason: strings.Repeat(string(rune('a'+n)), 100_000)}
			if _, err := s.Update(t.Context(), 1, u); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Get(t.Context(), 1)
		if err != nil || len(got.History) != 14 || got.History[0].Reason[0] != 'l' || got.History[11].Reason[0] != 'a' {
			t.Errorf("got %d entries, %v, want 14", len(got.History), err)
		}
	})
	t.Run("more configuration files than a transaction takes", func(t *testing.T) {
		var files []request.ConfigFile
		for n := range 250 {
			files = append(files, request.ConfigFile{Path: fmt.Sprintf("app/%03d", n), Key: "configfiles/1"})
		}
		for range 2 {
			if err := s.AddConfigFiles(t.Context(), 1, files); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.ConfigFiles(t.Context(), 1)
		if diff := cmp.Diff(files, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
	t.Run("a configuration file's path", func(t *testing.T) {
		err := s.AddConfigFiles(t.Context(), 1, []request.ConfigFile{{Path: strings.Repeat("p", store.MaxItemBytes), Key: "k"}})
		if !errors.Is(err, store.ErrItemTooLarge) {
			t.Errorf("got %v, want ErrItemTooLarge", err)
		}
	})
	t.Run("a change of too many items", func(t *testing.T) {
		results := map[string]string{}
		for n := range maxTransaction {
			results[fmt.Sprint(n)] = fmt.Sprintf("results/%d", n)
		}
		want, err := s.Get(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(t.Context(), 1, store.Update{Results: results}); err == nil || !strings.Contains(err.Error(), "101 items") {
			t.Errorf("got %v, want an error with the number of items", err)
		}
		got, err := s.Get(t.Context(), 1)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// TestListAgreesWithItself: when counts stay different from what is there, what is there counts.
func TestListAgreesWithItself(t *testing.T) {
	s := open(t, whole)
	for range 5 {
		if _, err := s.Create(t.Context(), newRequest()); err != nil {
			t.Fatal(err)
		}
	}
	progress := store.FilterValue{Filter: store.FilterState, Value: string(request.StateInProgress)}
	count := blockKey(progress, 0).attributes()
	for _, n := range []int64{4, 5, 6} {
		count[attrCount] = number(n)
		if _, err := s.db.PutItem(t.Context(), &sdk.PutItemInput{TableName: &s.table, Item: count}); err != nil {
			t.Fatal(err)
		}
		list, err := s.List(t.Context(), store.Filter{State: request.StateInProgress}, store.Page{Number: 1, PerPage: 10})
		if err != nil || list.Total != 5 || len(list.Requests) != 5 {
			t.Errorf("counted as %d: got %d of %d, %v, want 5 of 5", n, len(list.Requests), list.Total, err)
		}
	}
}

// stingy answers a batch of more than three with three, and leaves the rest for later.
type stingy struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s stingy) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	left := ""
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".BatchGetItem") {
		if body, left, err = keepThree(body); err != nil {
			return nil, err
		}
	}
	out := r.Clone(r.Context())
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res, err := s.base.RoundTrip(out)
	if err != nil || left == "" {
		return res, err
	}
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	answer = bytes.Replace(answer, []byte(`"UnprocessedKeys": {}`), []byte(`"UnprocessedKeys": `+left), 1)
	answer = bytes.Replace(answer, []byte(`"UnprocessedKeys":{}`), []byte(`"UnprocessedKeys":`+left), 1)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(answer)), int64(len(answer))
	res.Header.Del("X-Amz-Crc32")
	return res, nil
}

// keepThree cuts a batch to three keys and returns the rest as a batch.
func keepThree(body []byte) (cut []byte, rest string, err error) {
	var batch struct {
		RequestItems map[string]struct {
			ConsistentRead bool
			Keys           []json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		return nil, "", err
	}
	left := maps.Clone(batch.RequestItems)
	for table, b := range batch.RequestItems {
		if len(b.Keys) <= 3 {
			return body, "", nil
		}
		later := b
		b.Keys, later.Keys = b.Keys[:3], b.Keys[3:]
		batch.RequestItems[table], left[table] = b, later
	}
	if cut, err = json.Marshal(batch); err != nil {
		return nil, "", err
	}
	raw, err := json.Marshal(left)
	return cut, string(raw), err
}

func TestUnprocessedKeys(t *testing.T) {
	s := open(t, stingy{whole})
	for range 10 {
		if _, err := s.Create(t.Context(), newRequest()); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.List(t.Context(), store.Filter{}, store.Page{Number: 1, PerPage: 10})
	if err != nil || len(list.Requests) != 10 {
		t.Errorf("got %d requests, %v, want 10", len(list.Requests), err)
	}
}

func TestClassify(t *testing.T) {
	canceled := func(codes ...string) error {
		e := &types.TransactionCanceledException{}
		for _, c := range codes {
			code, message, _ := strings.Cut(c, ":")
			e.CancellationReasons = append(e.CancellationReasons, types.CancellationReason{Code: &code, Message: aws.String(message)})
		}
		return e
	}
	answer := func(code, message string, f smithy.ErrorFault) error {
		return &smithy.GenericAPIError{Code: code, Message: message, Fault: f}
	}
	other := answer("AccessDeniedException", "no", smithy.FaultClient)
	for _, c := range []struct {
		name  string
		err   error
		again bool
		is    error
	}{
		{"no answer", io.ErrUnexpectedEOF, true, io.ErrUnexpectedEOF},
		{"condition", &types.ConditionalCheckFailedException{}, false, errStale},
		{"condition of a transaction", canceled("None", "ConditionalCheckFailed"), false, errStale},
		{"condition beats conflict", canceled("TransactionConflict", "ConditionalCheckFailed"), false, errStale},
		{"conflict", canceled("None", "TransactionConflict"), true, nil},
		{"throttled transaction", canceled("ThrottlingError"), true, nil},
		{"transaction too large", canceled("ValidationError:Item size to update has exceeded the maximum allowed size"), false, store.ErrItemTooLarge},
		{"transaction wrong", canceled("ValidationError:bad key"), false, nil},
		{"the same token at work", &types.TransactionInProgressException{}, true, nil},
		{"conflict with a transaction", &types.TransactionConflictException{}, true, nil},
		{"throttled", &types.ProvisionedThroughputExceededException{}, true, nil},
		{"too many", &types.RequestLimitExceeded{}, true, nil},
		{"their fault", answer("Whatever", "", smithy.FaultServer), true, nil},
		{"item too large", answer("ValidationException", "Item size has exceeded the maximum allowed size", smithy.FaultClient), false, store.ErrItemTooLarge},
		{"our fault", other, false, other},
		{"no table", &types.ResourceNotFoundException{}, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			again, err := classify(fmt.Errorf("calling: %w", c.err))
			if again != c.again || err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, %v, want %v, %v", again, err, c.again, c.is)
			}
		})
	}
}

func TestBounded(t *testing.T) {
	seen := map[string]string{}
	for _, value := range []string{"", "a", strings.Repeat("a", 10), strings.Repeat("a", 11), strings.Repeat("a", 12), "\xff", "\xfe", "\ufffd"} {
		got := bounded("p#", value, 10)
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q have the same key %q", value, other, got)
		}
		seen[got] = value
		if short := len(value) <= 10 && value != "\xff" && value != "\xfe"; short != (got == "p#"+value) {
			t.Errorf("%q: got %q", value, got)
		}
	}
}

func TestSortKeysAreInOrder(t *testing.T) {
	day := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	keys := []string{
		sortTimed(time.Unix(0, 0), 9), sortTimed(day, 2), sortTimed(day, 10), sortMicros(day.Add(time.Microsecond)),
		sortTimed(day.Add(time.Microsecond), 1), sortMicros(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)),
	}
	if !slices.IsSorted(keys) {
		t.Errorf("not in order: %q", keys)
	}
}
