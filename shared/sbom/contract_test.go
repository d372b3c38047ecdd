package sbom_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
	"github.com/cachito-serverless/cachito/shared/sbom"
)

// contractFiles hold the cases that Cachito's own service was measured against. Those of them that end in
// a document are run here without HTTP.
var contractFiles = []string{"../api/testdata/cases-l.jsonl"}

type contractCase struct {
	ID, Why string
	Setup   [][]json.RawMessage
	Do      string
	Status  int
	JSON    json.RawMessage
}

// contexts are the requests that a case made, by id - 1.
func (c contractCase) contexts(t *testing.T) []packages.Context {
	t.Helper()
	var list []packages.Context
	for _, step := range c.Setup {
		var verb string
		decode(t, step[0], &verb)
		switch verb {
		case "post":
			var body struct{ Repo, Ref string }
			decode(t, step[1], &body)
			list = append(list, packages.Context{Repo: body.Repo, Ref: body.Ref})
		case "packages":
			var id int
			decode(t, step[1], &id)
			decode(t, step[2], &list[id-1].Packages)
		}
	}
	return list
}

func decode(t *testing.T, raw json.RawMessage, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
}

// asked are the contexts that the call names, in id order.
func (c contractCase) asked(t *testing.T) []packages.Context {
	t.Helper()
	u, err := url.Parse(strings.TrimPrefix(c.Do, "GET "))
	if err != nil {
		t.Fatal(err)
	}
	ids := u.Query().Get("requests")
	if of, ok := strings.CutPrefix(u.Path, "/api/v1/requests/"); ok {
		ids, _, _ = strings.Cut(of, "/")
	}
	named := map[int]bool{}
	for _, item := range strings.Split(ids, ",") {
		if item = strings.TrimSpace(item); item != "" {
			id, err := strconv.Atoi(item)
			if err != nil {
				t.Fatal(err)
			}
			named[id] = true
		}
	}
	var list []packages.Context
	for i, c := range c.contexts(t) {
		if named[i+1] {
			list = append(list, c)
		}
	}
	return list
}

func rules() packages.Rules {
	var lists [][]packages.Rule
	for _, d := range all.List() {
		lists = append(lists, d.Types)
	}
	return packages.RulesOf(lists...)
}

func TestContract(t *testing.T) {
	ran := 0
	for _, name := range contractFiles {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(raw))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var c contractCase
			decode(t, lines.Bytes(), &c)
			if !strings.Contains(c.Do, "/sbom") || c.JSON == nil || c.Status != 200 && c.Status != 501 {
				continue // about HTTP, states or ids
			}
			ran++
			t.Run(c.ID+" "+c.Why, func(t *testing.T) {
				var b bytes.Buffer
				err := sbom.CycloneDX(&b, c.asked(t), rules())
				if c.Status == 501 {
					var want struct{ Error string }
					decode(t, c.JSON, &want)
					var e *purl.Error
					if !errors.As(err, &e) || e.Message != want.Error || b.Len() != 0 {
						t.Errorf("got %v and %d bytes, want the error %q alone", err, b.Len(), want.Error)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				var got, want any
				decode(t, b.Bytes(), &got)
				decode(t, c.JSON, &want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if ran < 4 {
		t.Errorf("only %d cases were found in %q", ran, contractFiles)
	}
}
