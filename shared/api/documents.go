package api

import (
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
		"packages": listOf(data.Packages, itself), "dependencies": listOf(packages.MergeDependencies(data.Packages), itself),
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
	return c.document([]request.Request{req}, contentmanifest.Write)
}

// contentManifests answers GET /content-manifest for several requests.
func (c *call) contentManifests() error { return c.documents(contentmanifest.Write) }

// sbom answers GET /sbom for several requests.
func (c *call) sbom() error { return c.documents(sbom.CycloneDX) }

type documentWriter func(w io.Writer, requests []packages.Context, rules packages.Rules) error

const (
	// maxDocumentRequests bounds how many requests one document is made of.
	maxDocumentRequests = 1000
	// maxDocumentBytes bounds their packages data: some ten of the largest applications known.
	maxDocumentBytes = 512 << 20
)

func requestsParams() []param { return []param{{name: "requests", schema: request.Text()}} }

func (c *call) documents(write documentWriter) error {
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
	var wrong strings.Builder
	for _, req := range list {
		if req.State != request.StateComplete {
			fmt.Fprintf(&wrong, "Request %d is in state %s, not in {'complete'}.\n", req.ID, req.State)
		}
	}
	if wrong.Len() > 0 {
		return badRequest("%s", wrong.String())
	}
	return c.document(list, write)
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

func (c *call) document(list []request.Request, write documentWriter) error {
	var contexts []packages.Context
	size := int64(0)
	for _, req := range list {
		if req.PackagesKey != "" {
			info, err := c.Blobs.Stat(c.r.Context(), req.PackagesKey)
			if err != nil && !errors.Is(err, blob.ErrNotFound) {
				return err
			}
			if size += info.Size; size > maxDocumentBytes {
				return badRequest("The packages data of these requests exceeds %d bytes: ask for fewer of them at a time", maxDocumentBytes)
			}
		}
		data, err := c.packagesOf(c.r.Context(), req)
		if err != nil {
			return err
		}
		contexts = append(contexts, packages.Context{Repo: req.Repo, Ref: req.Ref, Packages: data.Packages})
	}
	return c.stream("application/json", http.StatusOK, func(w io.Writer) error { return write(w, contexts, c.rules) })
}
