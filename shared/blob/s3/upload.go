package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/integrity"
)

const (
	// PartBytes is the smallest part that S3 takes before the last one, and so what a writer keeps in
	// memory at most.
	PartBytes = 5 << 20
	// maxParts is S3's limit: a stream has at most 48 GiB.
	maxParts = 10_000
	// copyBytes is the largest part that is copied inside S3 (which takes 5 GiB): several are copied side
	// by side, each at some 100 MB/s.
	copyBytes = 256 << 20
	// partsAhead is how many parts travel, for all writers together, while their writers fill the next: 40 MB.
	partsAhead = 8
	// copiesAtOnce is how many parts are copied inside S3 at once.
	copiesAtOnce = 16
)

// upload makes one object of bytes and ranges of others. Up to PartBytes it only collects them; then it
// becomes a multipart upload, of which nothing is visible before finish. One goroutine uses it.
type upload struct {
	b     *Blob
	key   string
	token string
	buf   []byte
	size  int64
	// crc is the CRC32 of the whole, as long as everything went through our hands or has a CRC that is known.
	// Each part that we send has its own that S3 checks; this one finds parts in a wrong order, and copies of
	// other bytes. (Not all emulators know it.)
	crc      uint32
	crcKnown bool

	id string
	// doubtful: a call to begin the upload may have begun another one, whose id nobody knows.
	doubtful bool
	begun    int // parts

	wg    sync.WaitGroup
	mu    sync.Mutex
	parts []types.CompletedPart
	err   error
}

func (b *Blob) newUpload(key string) *upload {
	return &upload{b: b, key: key, token: rand.Text(), crcKnown: true}
}

// write adds bytes.
func (u *upload) write(ctx context.Context, p []byte) error {
	u.crc = crc32.Update(u.crc, crc32.IEEETable, p)
	u.size += int64(len(p))
	for len(p) > 0 {
		if len(u.buf) == PartBytes {
			if err := u.flush(ctx); err != nil {
				return err
			}
		}
		n := min(len(p), PartBytes-len(u.buf))
		u.grow(len(u.buf) + n)
		u.buf = append(u.buf, p[:n]...)
		p = p[n:]
	}
	return nil
}

// firstBuffer is what a writer begins with: most objects are small.
const firstBuffer = 32 << 10

func (u *upload) grow(size int) {
	if size <= cap(u.buf) {
		return
	}
	if u.id != "" || 2*size > PartBytes {
		buf, _ := u.b.buffers.Get().(*[]byte)
		if buf == nil {
			full := make([]byte, 0, PartBytes)
			buf = &full
		}
		u.buf = append((*buf)[:0], u.buf...)
		return
	}
	u.buf = slices.Grow(u.buf, max(firstBuffer, 2*size)-len(u.buf))
}

// giveBack lets another writer have a buffer, after a call that succeeded: of one that failed, the transport
// may still be reading it.
func (b *Blob) giveBack(buf []byte) {
	if cap(buf) >= PartBytes {
		b.buffers.Put(&buf)
	}
}

// source is a range of one version of an object.
type source struct {
	key, etag      string
	offset, length int64
	crc            *uint32 // of the range, when it is known
}

// copy adds a range: large pieces by a copy inside S3, the rest through our hands.
func (u *upload) copy(ctx context.Context, s source) error {
	u.size += s.length
	if u.crcKnown = u.crcKnown && s.crc != nil; u.crcKnown {
		u.crc = integrity.CombineCRC32(u.crc, *s.crc, s.length)
	}
	read, readCRC := int64(0), uint32(0)
	for left := s; left.length > 0; {
		pieces := (left.length + copyBytes - 1) / copyBytes
		n := (left.length + pieces - 1) / pieces // of one size, so that none is too small for a part
		if len(u.buf) == 0 && n >= PartBytes {
			if err := u.copyPart(ctx, left, n); err != nil {
				return err
			}
		} else {
			// Up to a whole part, so that what follows can be copied again.
			n = min(left.length, int64(PartBytes-len(u.buf)))
			have := len(u.buf)
			u.grow(have + int(n))
			u.buf = u.buf[:have+int(n)]
			if err := u.b.readRange(ctx, s.key, s.etag, u.buf[have:], left.offset); err != nil {
				return err
			}
			read, readCRC = read+n, crc32.Update(readCRC, crc32.IEEETable, u.buf[have:])
			if len(u.buf) == PartBytes {
				if err := u.flush(ctx); err != nil {
					return err
				}
			}
		}
		left.offset, left.length = left.offset+n, left.length-n
	}
	if s.crc != nil && read == s.length && readCRC != *s.crc { // otherwise S3 tells in the end
		return fmt.Errorf("range %d+%d of object %s: %w", s.offset, s.length, s.key, blob.ErrChanged)
	}
	return nil
}

// begin makes it a multipart upload, and takes the next part's number.
func (u *upload) begin(ctx context.Context) (int32, error) {
	if err := u.failed(); err != nil {
		return 0, err
	}
	if u.begun == maxParts {
		return 0, fmt.Errorf("object of more than %d bytes: S3 takes %d parts", u.size, maxParts)
	}
	u.begun++
	if u.id != "" {
		return int32(u.begun), nil
	}
	out, err := u.b.client.CreateMultipartUpload(ctx, &sdk.CreateMultipartUploadInput{
		Bucket: &u.b.bucket, Key: &u.key, Metadata: map[string]string{tokenName: u.token},
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, ChecksumType: types.ChecksumTypeFullObject,
	})
	if err != nil {
		u.doubtful = true
		return 0, fmt.Errorf("beginning an upload: %w", err)
	}
	if r, ok := retry.GetAttemptResults(out.ResultMetadata); ok && len(r.Results) > 1 {
		u.doubtful = true
	}
	u.id = aws.ToString(out.UploadId)
	return int32(u.begun), nil
}

// flush sends what was collected as a part, in the background where there is room for it.
func (u *upload) flush(ctx context.Context) error {
	number, err := u.begin(ctx)
	if err != nil {
		return err
	}
	buf := u.buf
	select {
	case u.b.ahead <- struct{}{}:
		u.buf = nil
		u.wg.Go(func() {
			if u.sendPart(ctx, number, buf) {
				u.b.giveBack(buf)
			}
			<-u.b.ahead
		})
	default:
		u.sendPart(ctx, number, buf)
		u.buf = buf[:0]
	}
	return u.failed()
}

func (u *upload) sendPart(ctx context.Context, number int32, content []byte) (ok bool) {
	out, err := u.b.client.UploadPart(ctx, &sdk.UploadPartInput{
		Bucket: &u.b.bucket, Key: &u.key, UploadId: &u.id, PartNumber: &number, Body: bytes.NewReader(content),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	if err != nil {
		u.sent(types.CompletedPart{}, fmt.Errorf("uploading part %d: %w", number, err))
		return false
	}
	u.sent(types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32}, nil)
	return true
}

// copyPart has S3 copy the first n bytes of s, in the background.
func (u *upload) copyPart(ctx context.Context, s source, n int64) error {
	number, err := u.begin(ctx)
	if err != nil {
		return err
	}
	u.b.copying <- struct{}{}
	u.wg.Go(func() {
		defer func() { <-u.b.copying }()
		out, err := u.b.client.UploadPartCopy(ctx, &sdk.UploadPartCopyInput{
			Bucket: &u.b.bucket, Key: &u.key, UploadId: &u.id, PartNumber: &number,
			CopySource: aws.String(copySource(u.b.bucket, s.key)), CopySourceIfMatch: &s.etag,
			CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", s.offset, s.offset+n-1)),
		})
		switch {
		case status(err) == http.StatusPreconditionFailed:
			err = fmt.Errorf("object %s: %w", s.key, errOverwritten)
		case err != nil && code(err) == "NoSuchUpload":
			err = fmt.Errorf("copying from object %s: %w", s.key, err)
		case err != nil:
			err = objectError(s.key, err)
		}
		if err != nil {
			u.sent(types.CompletedPart{}, err)
			return
		}
		u.sent(types.CompletedPart{PartNumber: &number, ETag: out.CopyPartResult.ETag, ChecksumCRC32: out.CopyPartResult.ChecksumCRC32}, nil)
	})
	return nil
}

// copySource is a header: S3 takes its "+" for a blank.
func copySource(bucket, key string) string {
	return bucket + "/" + strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(key))
}

func (u *upload) sent(part types.CompletedPart, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.err = cmp.Or(u.err, err)
		return
	}
	u.parts = append(u.parts, part)
}

func (u *upload) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// finish makes the object. After an error only abort may follow.
func (u *upload) finish(ctx context.Context, overwrite bool) error {
	if u.id == "" {
		return u.putWhole(ctx, u.key, overwrite)
	}
	if len(u.buf) > 0 {
		if err := u.flush(ctx); err != nil {
			return err
		}
	}
	u.wg.Wait()
	if err := u.failed(); err != nil {
		return err
	}
	slices.SortFunc(u.parts, func(a, b types.CompletedPart) int { return cmp.Compare(*a.PartNumber, *b.PartNumber) })
	in := &sdk.CompleteMultipartUploadInput{
		Bucket: &u.b.bucket, Key: &u.key, UploadId: &u.id, IfNoneMatch: onlyIfAbsent(overwrite),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
		ChecksumType:    types.ChecksumTypeFullObject, MpuObjectSize: &u.size,
	}
	out, err := u.b.client.CompleteMultipartUpload(ctx, in)
	if err := u.b.settle(ctx, u.key, u.token, err); err != nil {
		return err
	}
	u.id = ""
	if err != nil || !u.crcKnown || out.ChecksumType != types.ChecksumTypeFullObject {
		return nil
	}
	want := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, u.crc))
	if got := aws.ToString(out.ChecksumCRC32); got != want {
		err := fmt.Errorf("writing object %s: %w: their CRC32 is %s, not %s", u.key, blob.ErrChanged, got, want)
		// Nobody must take it for what was meant.
		_, deleting := u.b.client.DeleteObject(ctx, &sdk.DeleteObjectInput{Bucket: &u.b.bucket, Key: &u.key})
		return errors.Join(err, deleting)
	}
	return nil
}

// putWhole stores what was only collected.
func (u *upload) putWhole(ctx context.Context, key string, overwrite bool) error {
	if err := u.b.put(ctx, key, u.buf, overwrite); err != nil {
		return err
	}
	u.b.giveBack(u.buf)
	u.buf = nil
	return nil
}

// abort gives back what was not finished; the caller may have gone away meanwhile.
func (u *upload) abort(ctx context.Context) error {
	u.wg.Wait()
	u.buf = nil
	id := u.id
	u.id = ""
	// Another writer cannot have a temporary key; of another key the bucket's rules end what was begun twice.
	twice := u.doubtful && strings.HasPrefix(u.key, TemporaryPrefix)
	if id == "" && !twice {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	var errs []error
	if id != "" {
		errs = append(errs, u.abortUpload(ctx, id))
	}
	if twice {
		out, err := u.b.client.ListMultipartUploads(ctx, &sdk.ListMultipartUploadsInput{Bucket: &u.b.bucket, Prefix: &u.key})
		if err != nil {
			return errors.Join(append(errs, fmt.Errorf("looking for uploads that were begun twice: %w", err))...)
		}
		for _, other := range out.Uploads {
			errs = append(errs, u.abortUpload(ctx, aws.ToString(other.UploadId)))
		}
		u.doubtful = false
	}
	return errors.Join(errs...)
}

func (u *upload) abortUpload(ctx context.Context, id string) error {
	_, err := u.b.client.AbortMultipartUpload(ctx, &sdk.AbortMultipartUploadInput{Bucket: &u.b.bucket, Key: &u.key, UploadId: &id})
	if err != nil && code(err) != "NoSuchUpload" {
		return fmt.Errorf("giving up an upload: %w", err)
	}
	return nil
}
