package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// Downloaded describes a bundle that was stored.
type Downloaded struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"` // lower-case hex
	Size   int64  `json:"size"`
	// Verified: the service named a digest, and the bytes have it.
	Verified bool `json:"verified"`
}

// DigestError: the bytes that came are not those that the service promised.
type DigestError struct{ Want, Got string }

func (e *DigestError) Error() string {
	return fmt.Sprintf("the bundle is damaged: expected sha256 %s, got %s; download it again", e.Want, e.Got)
}

// Download stores a request's bundle at path. The file appears there whole and checked, or not at
// all; a file that was there is replaced. Redirects are followed, and the digest may stand on any of
// the answers on the way.
func (c *Client) Download(ctx context.Context, id int64, path string) (Downloaded, error) {
	// The caller's client is shared: a copy watches the redirects of this one call.
	watched := *c.http
	promised := ""
	next := watched.CheckRedirect
	watched.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if r.Response != nil {
			if d := r.Response.Header.Get("Digest"); d != "" {
				promised = d
			}
		}
		if next != nil {
			return next(r, via)
		}
		if len(via) >= 10 {
			return errors.New("stopped after 10 redirects")
		}
		return nil
	}
	resp, err := (&Client{base: c.base, http: &watched}).do(ctx, http.MethodGet, requestPath(id, "/download"), nil)
	if err != nil {
		return Downloaded{}, err
	}
	defer resp.Body.Close()
	if d := resp.Header.Get("Digest"); d != "" {
		promised = d
	}
	want, err := parseDigest(promised)
	if err != nil {
		return Downloaded{}, err
	}

	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return Downloaded{}, fmt.Errorf("making a file for the bundle: %w", err)
	}
	defer os.Remove(temp.Name())
	defer temp.Close()

	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(&diskWriter{temp}, hash), resp.Body)
	var disk *diskError
	switch {
	case errors.As(err, &disk):
		return Downloaded{}, fmt.Errorf("writing the bundle: %w", disk.cause)
	case err != nil && ctx.Err() != nil:
		return Downloaded{}, ctx.Err()
	case err != nil:
		return Downloaded{}, c.unreachable(fmt.Errorf("the download broke off after %d bytes: %w", size, err))
	}
	got := hex.EncodeToString(hash.Sum(nil))
	if want != "" && got != want {
		return Downloaded{}, &DigestError{Want: want, Got: got}
	}
	if err := publish(temp, path); err != nil {
		return Downloaded{}, fmt.Errorf("writing the bundle: %w", err)
	}
	return Downloaded{Path: path, SHA256: got, Size: size, Verified: want != ""}, nil
}

// publish makes a temporary file durable and gives it its name.
func publish(temp *os.File, path string) error {
	// CreateTemp makes files that only their owner can read.
	if err := temp.Chmod(0o644); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// parseDigest reads the sha-256 of a Digest header ("sha-256=<base64>", RFC 3230) as hex; empty
// without one.
func parseDigest(header string) (string, error) {
	for part := range strings.SplitSeq(header, ",") {
		algorithm, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || !strings.EqualFold(algorithm, "sha-256") {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(value)
		if err != nil || len(sum) != sha256.Size {
			return "", fmt.Errorf("the service's Digest header %q holds no sha-256", header)
		}
		return hex.EncodeToString(sum), nil
	}
	return "", nil
}

// diskWriter marks errors of the disk, to tell them from those of the network.
type diskWriter struct{ w io.Writer }

type diskError struct{ cause error }

func (e *diskError) Error() string { return e.cause.Error() }

func (d *diskWriter) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	if err != nil {
		return n, &diskError{err}
	}
	return n, nil
}
