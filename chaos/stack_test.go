package chaos

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	dynamodbsdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	s3sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	sqssdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/blob/s3"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/queue/sqs"
	"github.com/cachito-serverless/cachito/shared/store"
	"github.com/cachito-serverless/cachito/shared/store/dynamodb"
)

// stack is what template.yaml deploys besides functions, in the emulator, and the tests' own way to it, which
// loses nothing.
type stack struct {
	name  string // of table, bucket and queues
	store store.Store
	blobs blob.Blob

	s3     *s3sdk.Client
	sqs    *sqssdk.Client
	queues map[string]string // URLs by step, and the dead letters'
}

func newStack(t *testing.T, endpoint string, steps []string) *stack {
	t.Helper()
	cfg := awsclienttest.Config(endpoint, "test", "test", nil)
	table := dynamodbsdk.NewFromConfig(cfg)
	s := &stack{
		name:   "chaos-" + strings.ToLower(rand.Text()),
		s3:     s3sdk.NewFromConfig(cfg, func(o *s3sdk.Options) { o.UsePathStyle = true }),
		sqs:    sqssdk.NewFromConfig(cfg),
		queues: map[string]string{},
	}
	ctx := t.Context()
	if err := dynamodb.CreateTables(ctx, table, s.name); err != nil {
		t.Fatal(err)
	}
	if _, err := s.s3.CreateBucket(ctx, &s3sdk.CreateBucketInput{Bucket: &s.name}); err != nil {
		t.Fatal(err)
	}
	dead := s.createQueue(t, sqs.DeadLetter, nil)
	attributes, err := s.sqs.GetQueueAttributes(ctx, &sqssdk.GetQueueAttributesInput{QueueUrl: &dead, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		t.Fatal(err)
	}
	redrive, err := json.Marshal(map[string]string{
		"deadLetterTargetArn": attributes.Attributes["QueueArn"], "maxReceiveCount": strconv.Itoa(queue.MaxReceives),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		s.createQueue(t, step, map[string]string{"RedrivePolicy": string(redrive)})
	}
	s.store = dynamodb.New(table, s.name)
	s.blobs = s3.New(cfg, s.name)
	return s
}

func (s *stack) createQueue(t *testing.T, step string, attributes map[string]string) string {
	t.Helper()
	out, err := s.sqs.CreateQueue(t.Context(), &sqssdk.CreateQueueInput{QueueName: aws.String(s.name + "-" + step), Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	s.queues[step] = *out.QueueUrl
	t.Cleanup(func() {
		if _, err := s.sqs.DeleteQueue(context.Background(), &sqssdk.DeleteQueueInput{QueueUrl: out.QueueUrl}); err != nil {
			t.Errorf("deleting queue %s: %v", step, err)
		}
	})
	return *out.QueueUrl
}

// environment of every function.
func (s *stack) environment() []string {
	return []string{"CACHITO_TABLE=" + s.name, "CACHITO_BUCKET=" + s.name, "CACHITO_QUEUE_PREFIX=" + s.name}
}

// queued is how many messages a queue holds: visible, delivered, delayed.
func (s *stack) queued(ctx context.Context, step string) (int, error) {
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	out, err := s.sqs.GetQueueAttributes(ctx, &sqssdk.GetQueueAttributesInput{QueueUrl: aws.String(s.queues[step]), AttributeNames: names})
	if err != nil {
		return 0, err
	}
	total := 0
	for _, name := range names {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
