// Package documenttest runs the contract's cases for documents made of packages data (content manifest, SBOM)
// without HTTP, with the rules of every package manager, and makes what their tests begin with.
package documenttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/purl"
	"github.com/cachito-serverless/cachito/shared/resolver/all"
)

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

// Rules of every package manager.
func Rules() packages.Rules {
	var lists [][]packages.Rule
	for _, d := range all.List() {
		lists = append(lists, d.Types)
	}
	return packages.RulesOf(lists...)
}

// Request is the request for R of https://github.com/o/r with these packages, as JSON.
func Request(t *testing.T, data string) packages.Context {
	t.Helper()
	c := packages.Context{Repo: "https://github.com/o/r", Ref: "R"}
	decode(t, json.RawMessage(data), &c.Packages)
	return c
}

// Document writes a document for several requests.
type Document func(w io.Writer, requests []packages.Context, rules packages.Rules) error

// RunContract runs the cases of files, which Cachito's own service was measured against, that ask route for
// a document: at least so many.
func RunContract(t *testing.T, route string, write Document, least int, files ...string) {
	ran := 0
	for _, name := range files {
		for _, c := range read(t, name) {
			if !strings.Contains(c.Do, "/"+route) || c.JSON == nil || c.Status != 200 && c.Status != 501 {
				continue // about HTTP, states or ids
			}
			ran++
			t.Run(c.ID+" "+c.Why, func(t *testing.T) { c.run(t, write) })
		}
	}
	if ran < least {
		t.Errorf("only %d cases for %s were found in %q, expected %d", ran, route, files, least)
	}
}

func read(t *testing.T, name string) []contractCase {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var list []contractCase
	for line := range bytes.Lines(raw) {
		var c contractCase
		decode(t, line, &c)
		list = append(list, c)
	}
	return list
}

func (c contractCase) run(t *testing.T, write Document) {
	var b bytes.Buffer
	err := write(&b, c.asked(t), Rules())
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
}
