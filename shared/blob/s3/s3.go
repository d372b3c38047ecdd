// Package s3 is the object storage on S3. An object lies in the bucket under its own key; what the adapter
// needs besides lies below "_cachito/", and keys that begin so are refused. docs/design.md shows what each use
// costs in requests.
//
// Last use: objects on S3 cannot be touched. Touch writes an empty object "_cachito/used/<key>", whose time
// counts beside that of the object itself: nothing is copied, the object keeps its version, and a list finds
// both in one order. Content and last use never compete.
//
// Lost answers: each write puts a name of its own beside the object. When a conditional write is refused
// because the key is taken, this name tells whether it was taken by the same write, whose answer was lost.
//
// A rule of the bucket should end what crashes leave behind: unfinished uploads, and objects below
// "_cachito/tmp/", after a day.
package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/cachito-serverless/cachito/shared/awsclient"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/fault"
)

// Keys of the adapter itself. Each sorts before ownEnd.
const (
	ownPrefix = "_cachito/"
	// TemporaryPrefix holds what was streamed and has no key yet. Nothing below it is older than the
	// longest write; the bucket's rules may delete it after a day.
	TemporaryPrefix = ownPrefix + "tmp/"
	usedPrefix      = ownPrefix + "used/"
	// longPrefix is usedPrefix for keys that would become too long with it: their SHA-256 follows.
	longPrefix = ownPrefix + "long/"
	ownEnd     = ownPrefix + "v"
)

// tokenName is the metadata that names the write which made an object.
const tokenName = "write"

const (
	// tries is how often a write goes on after a conflict with another one that S3 did not decide.
	tries     = 8
	firstWait = 20 * time.Millisecond
	// cleanUpTime is how long giving up may take, also after the caller went away.
	cleanUpTime = 30 * time.Second
)

// Blob is object storage in a bucket. Make it with New.
type Blob struct {
	client    *sdk.Client
	presigner *sdk.PresignClient
	bucket    string
	// ahead bounds the parts that travel while their writers go on, copying the copies inside S3.
	ahead, copying chan struct{}
	buffers        sync.Pool
}

var _ blob.Blob = (*Blob)(nil)

type options struct{ publicEndpoint string }

// Option changes how a bucket is used.
type Option func(*options)

// WithPublicEndpoint sets the endpoint in presigned URLs, for clients that reach the storage under another
// name than this process does.
func WithPublicEndpoint(url string) Option { return func(o *options) { o.publicEndpoint = url } }

// New uses a bucket. The transport of cfg (awsclient.Load) must read whole answers. With an endpoint in cfg,
// the bucket's name is part of the path, as emulators and gateways want it.
func New(cfg aws.Config, bucket string, opts ...Option) *Blob {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	client := sdk.NewFromConfig(cfg, func(c *sdk.Options) {
		c.UsePathStyle = c.BaseEndpoint != nil
		c.APIOptions = append(slices.Clip(c.APIOptions), awsclient.Explain(awsclient.Resource{
			Name: func(any) string { return "bucket " + bucket }, Settings: "CACHITO_BUCKET", Busy: blob.ErrBusy,
			Type: fault.FileAccessError, Sentence: "The storage of the service does not work. Please try again later.",
		}))
		c.DisableLogOutputChecksumValidationSkipped = true // of ranges there is none; digests are checked above
	})
	public := sdk.New(client.Options(), func(c *sdk.Options) {
		if o.publicEndpoint != "" {
			c.BaseEndpoint, c.UsePathStyle = &o.publicEndpoint, true
		}
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired // not a client's business
	})
	return &Blob{
		client: client, presigner: sdk.NewPresignClient(public), bucket: bucket,
		ahead: make(chan struct{}, partsAhead), copying: make(chan struct{}, copiesAtOnce),
	}
}

// Close implements blob.Blob.
func (b *Blob) Close() error { return nil }

// checkKey also refuses the adapter's own keys.
func checkKey(key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	if strings.HasPrefix(key, ownPrefix) {
		return fmt.Errorf("%w: %.100q begins with %q, which is reserved", blob.ErrInvalidKey, key, ownPrefix)
	}
	return nil
}

// usedKey is the key of an object's last use.
func usedKey(key string) string {
	if isLong(key) {
		sum := sha256.Sum256([]byte(key))
		return longPrefix + hex.EncodeToString(sum[:])
	}
	return usedPrefix + key
}

func isLong(key string) bool { return len(key) > blob.MaxKeyBytes-len(usedPrefix) }

// status is the HTTP status of a refused call, else 0.
func status(err error) int {
	var res *awshttp.ResponseError
	if errors.As(err, &res) {
		return res.HTTPStatusCode()
	}
	return 0
}

// code is S3's name for an error, else "".
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// objectError makes the port's errors of S3's.
func objectError(key string, err error) error {
	if status(err) == http.StatusNotFound && code(err) != "NoSuchBucket" {
		err = blob.ErrNotFound
	}
	return fmt.Errorf("object %s: %w", key, err)
}

// Put implements blob.Blob.
func (b *Blob) Put(ctx context.Context, key string, content []byte, overwrite bool) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return b.put(ctx, key, content, overwrite)
}

func (b *Blob) put(ctx context.Context, key string, content []byte, overwrite bool) error {
	token := rand.Text()
	return again(ctx, func() error {
		_, err := b.client.PutObject(ctx, &sdk.PutObjectInput{
			Bucket: &b.bucket, Key: &key, Body: bytes.NewReader(content),
			Metadata: map[string]string{tokenName: token}, IfNoneMatch: onlyIfAbsent(overwrite),
		})
		return b.settle(ctx, key, token, err)
	})
}

func onlyIfAbsent(overwrite bool) *string {
	if overwrite {
		return nil
	}
	return aws.String("*")
}

// errUndecided: another write or delete came in between, and the key is free: write again.
var errUndecided = errors.New("conflict with other writers of the object")

// settle decides what the error of a conditional write under key means: nothing if the write was carried out.
func (b *Blob) settle(ctx context.Context, key, token string, err error) error {
	refused := status(err) == http.StatusPreconditionFailed ||
		code(err) == "ConditionalRequestConflict" || code(err) == "NoSuchUpload"
	if !refused {
		if err != nil {
			return fmt.Errorf("writing object %s: %w", key, err)
		}
		return nil
	}
	head, headErr := b.head(ctx, key)
	switch {
	case errors.Is(headErr, blob.ErrNotFound):
		return fmt.Errorf("writing object %s: %w: %w", key, errUndecided, err)
	case headErr != nil:
		return errors.Join(headErr, err)
	case head.Metadata[tokenName] == token:
		return nil
	case code(err) == "NoSuchUpload":
		// The upload was completed, or ended by a rule of the bucket; what is there now was written later.
		return fmt.Errorf("writing object %s: %w", key, err)
	}
	return fmt.Errorf("object %s: %w", key, blob.ErrExists)
}

// again repeats a write while it is undecided.
func again(ctx context.Context, write func() error) error {
	wait := firstWait
	for try := 1; ; try++ {
		err := write()
		if !errors.Is(err, errUndecided) || try == tries {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(ctx.Err(), err)
		case <-timer.C:
		}
		wait *= 2
	}
}

func (b *Blob) head(ctx context.Context, key string) (*sdk.HeadObjectOutput, error) {
	out, err := b.client.HeadObject(ctx, &sdk.HeadObjectInput{Bucket: &b.bucket, Key: &key})
	if err != nil {
		return nil, objectError(key, err)
	}
	return out, nil
}

// Stat implements blob.Blob.
func (b *Blob) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := checkKey(key); err != nil {
		return blob.Info{}, err
	}
	var used time.Time
	var usedErr error
	var wg sync.WaitGroup
	wg.Go(func() { used, usedErr = b.lastUse(ctx, key) })
	head, err := b.head(ctx, key)
	wg.Wait()
	if err != nil {
		return blob.Info{}, err
	}
	if usedErr != nil {
		return blob.Info{}, usedErr
	}
	return blob.Info{Key: key, Size: aws.ToInt64(head.ContentLength), LastUse: later(aws.ToTime(head.LastModified), used)}, nil
}

// lastUse is when an object was touched, or zero.
func (b *Blob) lastUse(ctx context.Context, key string) (time.Time, error) {
	head, err := b.head(ctx, usedKey(key))
	if errors.Is(err, blob.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return aws.ToTime(head.LastModified), nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Touch implements blob.Blob. It looks for the object first; one that is deleted right then leaves an empty
// object behind, which goes when its key is deleted again and harms nothing before.
func (b *Blob) Touch(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if _, err := b.head(ctx, key); err != nil {
		return err
	}
	used := usedKey(key)
	if _, err := b.client.PutObject(ctx, &sdk.PutObjectInput{Bucket: &b.bucket, Key: &used, Body: bytes.NewReader(nil)}); err != nil {
		return fmt.Errorf("renewing the last use of object %s: %w", key, err)
	}
	return nil
}
