package s3

import (
	"context"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
)

// MaxPresign is the longest life of a URL that S3 accepts. One signed with a role's credentials ends with
// them, after some hours.
const MaxPresign = 7 * 24 * time.Hour

// PresignGet implements blob.Blob. Headers are Content-Type, Content-Disposition, Content-Encoding,
// Content-Language and Cache-Control, in any case, with or without S3's "response-" before them. It makes no
// call: whether the object is there shows when the URL is used.
func (b *Blob) PresignGet(ctx context.Context, key string, ttl time.Duration, headers map[string]string) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	if ttl < time.Second || ttl > MaxPresign {
		return "", fmt.Errorf("a URL for object %s: its life of %s is not between 1s and %s", key, ttl, MaxPresign)
	}
	in := &sdk.GetObjectInput{Bucket: &b.bucket, Key: &key}
	for name, value := range headers {
		switch strings.TrimPrefix(strings.ToLower(name), "response-") {
		case "content-type":
			in.ResponseContentType = &value
		case "content-disposition":
			in.ResponseContentDisposition = &value
		case "content-encoding":
			in.ResponseContentEncoding = &value
		case "content-language":
			in.ResponseContentLanguage = &value
		case "cache-control":
			in.ResponseCacheControl = &value
		default:
			return "", fmt.Errorf("a URL for object %s: S3 cannot answer with header %q", key, name)
		}
	}
	out, err := b.presigner.PresignGetObject(ctx, in, sdk.WithPresignExpires(ttl))
	if err != nil {
		return "", fmt.Errorf("a URL for object %s: %w", key, err)
	}
	return out.URL, nil
}
