// Package emulatortest gives tests a database, queues and a bucket of their own in the emulators that make
// test-aws starts, and counts what is asked of them. Tests of one adapter alone make theirs themselves.
package emulatortest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	dynamodbsdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	s3sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	sqssdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/blob/s3"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/queue/sqs"
	"github.com/cachito-serverless/cachito/shared/store/dynamodb"
)

// patience is more than the slowest machine needs.
const patience = 2 * time.Minute

// Server is an emulator: the environment variable with its URL, and who may use it.
type Server struct{ Name, Variable, Key, Secret string }

// The emulators of make test-aws.
var (
	// Ministack has every service.
	Ministack = Server{"ministack", "AWS_ENDPOINT_URL", "test", "test"}
	// Versitygw is an S3 that checks signatures, checksums and the sizes of parts.
	Versitygw = Server{"versitygw", "CACHITO_TEST_VERSITYGW_URL", "cachito", "cachito-secret"}
)

// config is a client's configuration; the test is skipped when the emulator's variable is not set. A nil
// transport loses and counts nothing.
func (s Server) config(t testing.TB, transport http.RoundTripper) aws.Config {
	t.Helper()
	return awsclienttest.Config(awsclienttest.Endpoint(t, s.Variable), s.Key, s.Secret, transport)
}

// Store makes a table, which is gone after the test.
func Store(t testing.TB, transport http.RoundTripper, opts ...dynamodb.Option) *dynamodb.Store {
	t.Helper()
	sure := dynamodbsdk.NewFromConfig(Ministack.config(t, nil))
	table := "cachito-" + rand.Text()
	if err := dynamodb.CreateTables(t.Context(), sure, table); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := sure.DeleteTable(context.Background(), &dynamodbsdk.DeleteTableInput{TableName: &table}); err != nil {
			t.Errorf("deleting table %s: %v", table, err)
		}
	})
	client := dynamodbsdk.NewFromConfig(Ministack.config(t, transport))
	return dynamodb.New(client, table, append([]dynamodb.Option{dynamodb.WithPatience(patience)}, opts...)...)
}

// Queue makes the queues of these steps with their dead letters, as template.yaml does; they are gone after the test.
func Queue(t testing.TB, transport http.RoundTripper, steps ...string) *sqs.Queue {
	t.Helper()
	sure := sqssdk.NewFromConfig(Ministack.config(t, nil))
	prefix := "cachito-" + rand.Text()
	create := func(step string, attributes map[string]string) *string {
		t.Helper()
		out, err := sure.CreateQueue(t.Context(), &sqssdk.CreateQueueInput{QueueName: aws.String(prefix + "-" + step), Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := sure.DeleteQueue(context.Background(), &sqssdk.DeleteQueueInput{QueueUrl: out.QueueUrl}); err != nil {
				t.Errorf("deleting queue %s: %v", step, err)
			}
		})
		return out.QueueUrl
	}
	letters, err := sure.GetQueueAttributes(t.Context(), &sqssdk.GetQueueAttributesInput{
		QueueUrl: create(sqs.DeadLetter, nil), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatal(err)
	}
	redrive, err := json.Marshal(map[string]string{
		"deadLetterTargetArn": letters.Attributes["QueueArn"], "maxReceiveCount": strconv.Itoa(queue.MaxReceives),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		create(step, map[string]string{"RedrivePolicy": string(redrive)})
	}
	return sqs.New(Ministack.config(t, transport), prefix)
}

// Blob makes a bucket, which is gone after the test. What is left there of uploads fails the test.
func (s Server) Blob(t testing.TB, transport http.RoundTripper) *s3.Blob {
	t.Helper()
	cfg := s.config(t, nil)
	sure := s3sdk.NewFromConfig(cfg, func(o *s3sdk.Options) { o.UsePathStyle = true })
	bucket := "cachito-" + strings.ToLower(rand.Text())
	if _, err := sure.CreateBucket(t.Context(), &s3sdk.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := remove(context.Background(), t, sure, bucket); err != nil {
			t.Errorf("deleting bucket %s: %v", bucket, err)
		}
	})
	return s3.New(s.config(t, transport), bucket)
}

func remove(ctx context.Context, t testing.TB, client *s3sdk.Client, bucket string) error {
	uploads, err := client.ListMultipartUploads(ctx, &s3sdk.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil {
		return err
	}
	for _, u := range uploads.Uploads {
		t.Errorf("unfinished upload left: %s", aws.ToString(u.Key))
		if _, err := client.AbortMultipartUpload(ctx, &s3sdk.AbortMultipartUploadInput{Bucket: &bucket, Key: u.Key, UploadId: u.UploadId}); err != nil {
			return err
		}
	}
	pages := s3sdk.NewListObjectsV2Paginator(client, &s3sdk.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		var ids []s3types.ObjectIdentifier
		for _, o := range page.Contents {
			if strings.HasPrefix(aws.ToString(o.Key), s3.TemporaryPrefix) {
				t.Errorf("temporary object left: %s", *o.Key)
			}
			ids = append(ids, s3types.ObjectIdentifier{Key: o.Key})
		}
		if len(ids) == 0 {
			continue
		}
		out, err := client.DeleteObjects(ctx, &s3sdk.DeleteObjectsInput{Bucket: &bucket, Delete: &s3types.Delete{Objects: ids, Quiet: aws.Bool(true)}})
		if err != nil {
			return err
		}
		for _, e := range out.Errors {
			return errors.New(aws.ToString(e.Key) + ": " + aws.ToString(e.Message))
		}
	}
	_, err = client.DeleteBucket(ctx, &s3sdk.DeleteBucketInput{Bucket: &bucket})
	return err
}
