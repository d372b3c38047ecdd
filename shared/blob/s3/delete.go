package s3

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// deletedAtOnce keys go in one call, each with its last use: S3 takes 1000.
const deletedAtOnce = 500

// Delete implements blob.Blob.
func (b *Blob) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return err
		}
	}
	for len(keys) > 0 {
		n := min(len(keys), deletedAtOnce)
		if err := b.deleteSome(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

func (b *Blob) deleteSome(ctx context.Context, keys []string) error {
	ids := make([]types.ObjectIdentifier, 0, 2*len(keys))
	for _, key := range keys {
		ids = append(ids, types.ObjectIdentifier{Key: aws.String(key)}, types.ObjectIdentifier{Key: aws.String(usedKey(key))})
	}
	out, err := b.client.DeleteObjects(ctx, &sdk.DeleteObjectsInput{
		Bucket: &b.bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("deleting %d objects, %s first: %w", len(keys), keys[0], err)
	}
	for _, e := range out.Errors {
		if aws.ToString(e.Code) == "NoSuchKey" {
			continue
		}
		return fmt.Errorf("deleting object %s (%d of %d were not deleted): %s: %s",
			aws.ToString(e.Key), len(out.Errors), len(ids), aws.ToString(e.Code), aws.ToString(e.Message))
	}
	return nil
}
