package api

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/contentmanifest"
	"github.com/cachito-serverless/cachito/shared/packages"
	"github.com/cachito-serverless/cachito/shared/request"
	"github.com/cachito-serverless/cachito/shared/sbom"
	"github.com/cachito-serverless/cachito/shared/store"
)

// packages answers GET /requests/{id}/packages: the stored data, whatever the state.
func (c *call) packages() error {
	req, err := c.load()
	if err != nil {
		return err
	}
	data, err := c.packagesData(c.r.Context(), req)
	if errors.Is(err, blob.ErrNotFound) {
		if req.State == request.StateComplete {
			return &httpError{http.StatusInternalServerError, "Invalid state: packages file was not found."}
		}
		return errNotFound
	}
	if err != nil {
		return err
	}
	return c.write(http.StatusOK, object{
		"packages": listOf(data.Packages, onePackage), "dependencies": listOf(packages.MergeDependencies(data.Packages), itself),
	})
}

// contentManifest answers GET /requests/{id}/content-manifest.
func (c *call) contentManifest() error {
	req, err := c.load()
	if err != nil {
		return err
	}
	if req.State != request.StateComplete && req.State != request.StateStale {
		return badRequest(`Content manifests are only available for requests in the "complete" or "stale" states`)
	}
	d := c.manifest()
	key := "content manifest of " + req.PackagesKey + " for " + req.Repo + " at " + req.Ref
	if text, ok := c.texts.find(key); ok {
		return c.stream(d.contentType, http.StatusOK, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	write := d.write
	d.write = func(w io.Writer, requests []sbom.Request) error {
		return c.kept(key, func(w io.Writer) (bool, error) { return len(requests[0].Packages) > 0, write(w, requests) })(w)
	}
	return c.document([]request.Request{req}, d)
}

// contentManifests answers GET /content-manifest for several requests.
func (c *call) contentManifests() error { return c.documents(c.manifest()) }

// sboms answers GET /sbom for several requests.
func (c *call) sboms() error { return c.documents(c.sbom()) }

// requestSBOM answers GET /requests/{id}/sbom, which upstream does not have.
func (c *call) requestSBOM() error {
	req, err := c.load()
	if err != nil {
		return err
	}
	if err := allComplete([]request.Request{req}); err != nil {
		return err
	}
	return c.document([]request.Request{req}, c.sbom())
}

// document is a document made of the packages of requests.
type document struct {
	contentType string
	// artifacts: the packages data is read with them.
	artifacts bool
	write     func(w io.Writer, requests []sbom.Request) error
}

func (c *call) manifest() document {
	return document{contentType: "application/json", write: func(w io.Writer, requests []sbom.Request) error {
		contexts := make([]packages.Context, len(requests))
		for i, r := range requests {
			contexts[i] = r.Context
		}
		return contentmanifest.Write(w, contexts, c.rules)
	}}
}

// sbom is the document in the format that the call asks for.
func (c *call) sbom() document {
	format := sbom.Format(cmp.Or(c.query.text(formatName), sbom.Formats[0]))
	return document{
		contentType: format.MediaType(), artifacts: format != sbom.CycloneDX14,
		write: func(w io.Writer, requests []sbom.Request) error {
			return sbom.Write(w, format, requests, c.rules, c.Version)
		},
	}
}

const (
	// maxDocumentRequests bounds how many requests one document is made of.
	maxDocumentRequests = 1000
	// maxDocumentBytes bounds their packages data: some ten of the largest applications known.
	maxDocumentBytes = 512 << 20
)

const formatName = "format"

func requestsParam() param { return param{name: "requests", schema: request.Text()} }

func formatParam() param {
	return param{name: formatName, kind: namedEnumParam, schema: &request.Schema{Type: "string", Enum: sbom.Formats}}
}

func (c *call) documents(d document) error {
	ids, err := requestIDs(c.query.text("requests"))
	if err != nil {
		return err
	}
	var list []request.Request
	var unknown []string
	for _, id := range ids {
		n := int64(math.MaxInt64)
		if len(id) < 19 {
			n, _ = strconv.ParseInt(id, 10, 64)
		}
		req, err := c.Store.Get(c.r.Context(), n)
		if errors.Is(err, store.ErrNotFound) {
			unknown = append(unknown, id)
			continue
		}
		if err != nil {
			return err
		}
		list = append(list, req)
	}
	if len(unknown) > 0 {
		return badRequest("Cannot find request(s) %s.", strings.Join(unknown, ","))
	}
	if err := allComplete(list); err != nil {
		return err
	}
	return c.document(list, d)
}

// allComplete refuses requests in other states, all of them at once.
func allComplete(list []request.Request) error {
	var wrong strings.Builder
	for _, req := range list {
		if req.State != request.StateComplete {
			fmt.Fprintf(&wrong, "Request %d is in state %s, not in {'complete'}.\n", req.ID, req.State)
		}
	}
	if wrong.Len() > 0 {
		return badRequest("%s", wrong.String())
	}
	return nil
}

// requestIDs reads a list of ids: split at commas, blanks around them ignored, each once, in their order
// as numbers. They stay texts without leading zeros, because they may be too large for any integer.
func requestIDs(text string) ([]string, error) {
	var ids []string
	seen := map[string]bool{}
	for _, item := range strings.Split(text, ",") {
		digits := strings.TrimSpace(item)
		if digits == "" {
			continue
		}
		if strings.Trim(digits, "0123456789") != "" {
			return nil, badRequest("%s is not an integer.", item)
		}
		digits = strings.TrimLeft(digits, "0")
		if digits == "" {
			digits = "0"
		}
		if !seen[digits] {
			seen[digits] = true
			ids = append(ids, digits)
		}
	}
	if len(ids) > maxDocumentRequests {
		return nil, badRequest("The parameter 'requests' names %d requests; at most %d are possible", len(ids), maxDocumentRequests)
	}
	slices.SortFunc(ids, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return ids, nil
}

// document answers with a document of requests.
func (c *call) document(list []request.Request, d document) error {
	ctx := c.r.Context()
	size := int64(0)
	for _, req := range list {
		if req.PackagesKey == "" {
			continue
		}
		info, err := c.Blobs.Stat(ctx, req.PackagesKey)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
		if size += info.Size; size > maxDocumentBytes {
			return badRequest("The packages data of these requests exceeds %d bytes: ask for fewer of them at a time", maxDocumentBytes)
		}
	}
	if err := c.large(ctx, size); err != nil {
		return err
	}
	decode := packages.Decode
	if d.artifacts {
		decode = packages.DecodeAll
	}
	requests := make([]sbom.Request, 0, len(list))
	for _, req := range list {
		data, err := c.readPackages(ctx, req, decode)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return err
		}
		requests = append(requests, sbom.Request{
			ID: req.ID, Completed: req.Updated, Artifacts: data.Artifacts,
			Context: packages.Context{Repo: req.Repo, Ref: req.Ref, Packages: data.Packages},
		})
	}
	return c.stream(d.contentType, http.StatusOK, func(w io.Writer) error { return d.write(w, requests) })
}
