package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob"
)

// message is the text of an answer with an error.
func message(t *testing.T, body []byte) string {
	t.Helper()
	var answer struct{ Error string }
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("answer %s: %v", body, err)
	}
	return answer.Error
}

// TestBadBody: bodies that are wrong, hostile or too large get a 4xx that says what is wrong, and leave
// nothing behind.
func TestBadBody(t *testing.T) {
	w := newWorld(t, settings())
	ok := fmt.Sprintf(`"repo": %q, "ref": %q`, repo, ref)
	many := func(item string, n int) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	tests := []struct {
		name, contentType, body string
		status                  int
		want                    string
	}{
		{"no content type", "", `{}`, 415, "Invalid Content-type (), expected JSON data"},
		{"text/json", "text/json", `{}`, 415, "Invalid Content-type (text/json), expected JSON data"},
		{"a broken content type", "application/json; =", `{}`, 400, "'ref' is a required property"},
		{"a type of its own", "Application/vnd.X+JSON; charset=utf-8", `{}`, 400, "'ref' is a required property"},
		{"null", "application/json", `null`, 400, "Request body is not valid JSON"},
		{"invalid UTF-8", "application/json", "{\"repo\": \"\xff\"}", 400, "Request body is not valid JSON"},
		{"UTF-16", "application/json", "\xff\xfe{\x00}\x00", 400, "Request body is not valid JSON"},
		{"a depth bomb", "application/json", strings.Repeat("[", 500000), 400, "Request body is not valid JSON"},
		{"a deep value", "application/json", `{"flags": ` + strings.Repeat("[", 60) + strings.Repeat("]", 60) + `}`, 400, " is not of type 'string'"},
		{"a size bomb", "application/json", `{"user": "` + strings.Repeat("a", api.MaxBodyBytes) + `"}`, 413, "The request body is larger than 1048576 bytes"},
		{"a row too large for the store", "application/json", `{` + ok + `, "dependency_replacements": [` +
			many(`{"name": "`+strings.Repeat("n", 200)+`", "type": "gomod", "version": "v1"}`, 3000) + `]}`, 413, "The request is too large to be stored"},
		{"the last of two keys counts", "application/json", `{` + ok + `, "ref": "x"}`, 400, "'x' is too short"},
		{"line breaks in what is quoted", "application/json", "{" + ok + `, "flags": ["a\r\nSet-Cookie: x=y"]}`, 400, "Invalid/Inactive flag(s): a\r\nSet-Cookie: x=y"},
		{"ten thousand unknown keys", "application/json", `{` + numbered(10000) + `}`, 400, "Additional properties are not allowed ('k0', 'k1', "},
		{"a big integer where text belongs", "application/json", `{` + ok + `, "user": ` + strings.Repeat("9", 5000) + `}`, 400, strings.Repeat("9", 5000) + " is not of type 'string'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			if tt.contentType != "" {
				header = []string{"Content-Type", tt.contentType}
			}
			out := w.ask(http.MethodPost, "/api/v1/requests", user, []byte(tt.body), header...)
			if out.Code != tt.status {
				t.Errorf("status %d, want %d", out.Code, tt.status)
			}
			if got := message(t, out.Body.Bytes()); !strings.Contains(got, tt.want) {
				t.Errorf("error %.300q, want %.300q in it", got, tt.want)
			}
			for name, values := range out.Header() {
				if strings.ContainsAny(strings.Join(values, ""), "\r\n") {
					t.Errorf("header %s holds a line break: %q", name, values)
				}
			}
		})
	}
	n, err := w.store.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n.Total != 0 {
		t.Errorf("%d requests were stored, want none", n.Total)
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"k%d": 1`, i)
	}
	return b.String()
}

// TestBadURL: paths and queries that are wrong or hostile.
func TestBadURL(t *testing.T) {
	w := newWorld(t, settings())
	w.post(nil)
	ids := make([]string, 10000)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	notFound := "The requested resource was not found"
	tests := []struct {
		name, target string
		status       int
		want         string
	}{
		{"id of 20 digits", "/api/v1/requests/99999999999999999999", 404, notFound},
		{"id of 19 digits", "/api/v1/requests/9223372036854775807", 404, notFound},
		{"id of 5000 digits", "/api/v1/requests/" + strings.Repeat("9", 5000), 404, notFound},
		{"id 0", "/api/v1/requests/0", 404, notFound},
		{"leading zeros", "/api/v1/requests/0001", 200, ""},
		{"digits that are not ASCII", "/api/v1/requests/%D9%A1", 404, notFound},
		{"a fraction", "/api/v1/requests/1.0", 404, notFound},
		{"a doubled slash", "/api/v1//requests", 404, notFound},
		{"a slash at the end", "/api/v1/requests/1/", 404, notFound},
		{"way up", "/api/v1/requests/../requests", 404, notFound},
		{"base path alone", "/api/v1", 404, notFound},
		{"favicon", "/favicon.ico", 404, notFound},
		{"unknown parameters, sorted", "/api/v1/requests/1?z&a=1&%61=2", 400, "Extra query parameter(s) a, z not in spec"},
		{"an escape that is none", "/api/v1/requests?repo=%zz%4", 200, ""},
		{"a parameter that is no UTF-8", "/api/v1/requests?state=%ff", 400, "'\uFFFD' is not one of ["},
		{"a page beyond every number", "/api/v1/requests?page=" + strings.Repeat("9", 4000), 404, notFound},
		{"a page size beyond every number", "/api/v1/requests?per_page=" + strings.Repeat("9", 4000), 200, ""},
		{"a negative page", "/api/v1/requests?page=-5", 400, "-5 is less than the minimum of 1"},
		{"a page of blanks", "/api/v1/requests?page=%20", 400, "Wrong type, expected 'integer' for query parameter 'page'"},
		{"blanks around a page", "/api/v1/requests?page=%201%20", 200, ""},
		{"digits that are not ASCII in a page", "/api/v1/requests?page=%D9%A1", 400, "Wrong type, expected 'integer' for query parameter 'page'"},
		{"an empty boolean", "/api/v1/requests?verbose=", 400, "Wrong type, expected 'boolean' for query parameter 'verbose'"},
		{"a boolean in any case", "/api/v1/requests?verbose=TrUe", 200, ""},
		{"an empty ref", "/api/v1/requests?ref=", 400, "'' is too short"},
		{"an empty repo", "/api/v1/requests?repo=", 200, ""},
		{"an unknown manager that is not the last", "/api/v1/requests?pkg_manager=x&pkg_manager=npm", 400, "Cachito does not have package manager x."},
		{"an empty manager that is the last", "/api/v1/requests?pkg_manager=npm&pkg_manager=", 400, "'' is not one of ["},
		{"ten thousand ids", "/api/v1/sbom?requests=" + strings.Join(ids, ","), 400, "The parameter 'requests' names 10000 requests; at most 1000 are possible"},
		{"huge ids, sorted as numbers", "/api/v1/sbom?requests=99999999999999999999999,010,9", 400, "Cannot find request(s) 9,10,99999999999999999999999."},
		{"an id of 20 digits in a list", "/api/v1/content-manifest?requests=1,99999999999999999999", 400, "Cannot find request(s) 99999999999999999999."},
		{"an id of 5000 digits in a list", "/api/v1/sbom?format=spdx-2.3&requests=" + strings.Repeat("9", 5000), 400, "Cannot find request(s) 999"},
		{"ten thousand times the same id counts once", "/api/v1/sbom?requests=" + strings.Repeat("2,", 10000), 400, "Cannot find request(s) 2."},
		{"the same id in other spellings", "/api/v1/content-manifest?requests=07,7,%207%20,0007", 400, "Cannot find request(s) 7."},
		{"ten thousand ids for a manifest", "/api/v1/content-manifest?requests=" + strings.Join(ids, "%2C"), 400, "The parameter 'requests' names 10000 requests; at most 1000 are possible"},
		{"ten thousand formats", "/api/v1/sbom?" + strings.Repeat("format=spdx-2.3&", 10000), 200, ""},
		{"id 0 in a list", "/api/v1/sbom?requests=0", 400, "Cannot find request(s) 0."},
		{"ids with other digits", "/api/v1/sbom?requests=%D9%A1", 400, "\u0661 is not an integer."},
		{"a negative id in a list", "/api/v1/content-manifest?requests=1,%20-1", 400, " -1 is not an integer."},
		{"only commas", "/api/v1/content-manifest?requests=,%20,", 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := w.ask(http.MethodGet, tt.target, "", nil)
			if out.Code != tt.status {
				t.Errorf("status %d, want %d: %.300s", out.Code, tt.status, out.Body)
			}
			if tt.want != "" && !strings.Contains(message(t, out.Body.Bytes()), tt.want) {
				t.Errorf("error %.300q, want %q in it", message(t, out.Body.Bytes()), tt.want)
			}
		})
	}
}

// TestRepeatedParameters: of a parameter given twice the last is validated and the first is used (clients
// add theirs to links that have them).
func TestRepeatedParameters(t *testing.T) {
	w := newWorld(t, settings())
	for range 3 {
		w.post(nil)
	}
	w.complete(1)
	tests := []struct {
		query  string
		status int
		want   string // of the answer
	}{
		{"page=2&per_page=1&page=1&per_page=10", 200, `"page": 2, "pages": 3, "per_page": 1`},
		{"state=complete&state=failed", 200, `"total": 1`},
		{"state=done&state=failed", 400, "done is not a valid request state. Valid states are: complete, failed, in_progress, stale"},
		{"state=failed&state=done", 400, "'done' is not one of ["},
		{"page=x&page=1", 400, "Wrong type, expected 'integer' for query parameter 'page'"},
		{"per_page=0&per_page=1", 400, "0 is less than the minimum of 1"},
		{"pkg_manager=gomod&pkg_manager=gomod", 200, `"total": 3`},
		{"pkg_manager=&pkg_manager=gomod", 200, `"total": 3`},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			out := w.ask(http.MethodGet, "/api/v1/requests?"+tt.query, "", nil)
			if out.Code != tt.status || !strings.Contains(out.Body.String(), tt.want) {
				t.Errorf("got %d %s\nwant %d and %q in it", out.Code, out.Body, tt.status, tt.want)
			}
		})
	}
}

// TestDates: which forms of dates are accepted, which are refused and how.
func TestDates(t *testing.T) {
	w := newWorld(t, settings())
	const odd, invalid = `{"errors": {"created_from": "invalid date format"}}`, "is not a valid datetime(ISO 8601 format)."
	tests := []struct{ value, want string }{
		{"2021-01-02", ""},
		{"20210102", ""},
		{"2021-01-02T10:11", ""},
		{"2021-01-02 10:11:12", ""},
		{"2021-01-02T10:11:12.123456789Z", ""},
		{"2021-01-02T10:11:12+02", ""},
		{"2021-01-02T10:11:12-0230", ""},
		{"2021-01-02T10:11:12+02:30", ""},
		{"2021-W01-1", odd},
		{"2021W011", odd},
		{"2021-01-02T10", odd},
		{"2021-01-02T1000", odd},
		{"2021-01-02T10:11:12,5", odd},
		{"2021", odd},
		{"2021-01", odd},
		{"", invalid},
		{"2021-02-30", invalid},
		{"20210230", invalid},
		{"2021-02-30T10", invalid},
		{"2021-W54-1", invalid},
		{"2021-13", invalid},
		{"2021-01-02T24:00:00", invalid},
		{"2021-01-02T25", invalid},
		{"2021-01-02T10:60", invalid},
		{"2021-01-02T10:11:12+02:30x", invalid},
		{"tomorrow", invalid},
		{"2021-01-02\n", invalid},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			target := "/api/v1/requests?created_from=" + strings.NewReplacer("+", "%2B", " ", "%20", "\n", "%0A").Replace(tt.value)
			out := w.ask(http.MethodGet, target, "", nil)
			status := http.StatusBadRequest
			if tt.want == "" {
				status = http.StatusOK
			}
			if out.Code != status || !strings.Contains(out.Body.String(), tt.want) {
				t.Errorf("got %d %s\nwant %d and %q in it", out.Code, out.Body, status, tt.want)
			}
		})
	}
}

// hugeBlobs says of every object that it is huge.
type hugeBlobs struct{ blob.Blob }

func (b hugeBlobs) Stat(ctx context.Context, key string) (blob.Info, error) {
	info, err := b.Blob.Stat(ctx, key)
	info.Size = 300 << 20
	return info, err
}

// TestDocumentOfTooMuch: a document that would not fit into memory is refused before anything is read.
func TestDocumentOfTooMuch(t *testing.T) {
	w := newWorld(t, settings(), func(d *api.Deps) { d.Blobs = hugeBlobs{d.Blobs} })
	for id := range int64(2) {
		w.post(nil)
		w.storePackages(id+1, nil)
		w.complete(id + 1)
	}
	if out := w.ask(http.MethodGet, "/api/v1/sbom?requests=1", "", nil); out.Code != 200 {
		t.Errorf("one: status %d, want 200: %s", out.Code, out.Body)
	}
	out := w.ask(http.MethodGet, "/api/v1/sbom?requests=1,2", "", nil)
	if got, want := message(t, out.Body.Bytes()), "The packages data of these requests exceeds 536870912 bytes: ask for fewer of them at a time"; out.Code != 400 || got != want {
		t.Errorf("two: got %d %q, want 400 %q", out.Code, got, want)
	}
}
