// Package sqs is the queues on SQS: standard queues named "<prefix>-<step>", and "<prefix>-dead-letter", to
// which SQS moves a message that was received MaxReceives times (the queues' redrive policy) when someone
// receives from its queue again; Lambda's event sources always do.
//
// What SQS does otherwise than the embedded queues: times are whole seconds, rounded up; messages come in no
// strict order; a message is sent twice when the answer to the first sending was lost; a delivery whose answer
// was lost is invisible until its timeout, and counts; a message can be invisible for 12 hours in all. The
// pipeline's steps expect each of these.
package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/cachito-serverless/cachito/shared/awsclient"
	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/queue"
)

// DeadLetter is the name, after the prefix, of the queue of dead letters.
const DeadLetter = "dead-letter"

const (
	// MaxDelay is the longest delay that SQS knows.
	MaxDelay = 15 * time.Minute
	// MaxVisibility is the longest visibility timeout that SQS knows.
	MaxVisibility = 12 * time.Hour
	// longestWait is how long SQS holds one call of a receiver.
	longestWait = 20 * time.Second
	// receivedAtOnce is how many messages SQS gives in one call.
	receivedAtOnce = 10
)

// deadReceipt is put before the receipts of dead letters: their queue is not that of their step.
const deadReceipt = DeadLetter + ":"

// Queue is the queues. Make it with New.
type Queue struct {
	client  *sdk.Client
	metrics *cloudwatch.Client
	prefix  string
	clock   func() time.Time
	urls    sync.Map // of queues, by name: they never change
}

var _ queue.Queue = (*Queue)(nil)

// New uses the queues whose names begin with prefix and "-". The transport of cfg (awsclient.Load) must read
// whole answers, and wait longer than 20 s for one.
func New(cfg aws.Config, prefix string) *Queue {
	trouble := awsclient.Resource{
		Name: func(input any) string { return queueOf(input, prefix) }, Settings: "CACHITO_QUEUE_PREFIX", Busy: queue.ErrBusy,
		Type: fault.MessageBrokerError, Sentence: "The queues of the service do not work. Please try again later.",
	}
	explained := append(slices.Clip(cfg.APIOptions), awsclient.Explain(trouble))
	return &Queue{
		client:  sdk.NewFromConfig(cfg, func(o *sdk.Options) { o.APIOptions = explained }),
		metrics: cloudwatch.NewFromConfig(cfg, func(o *cloudwatch.Options) { o.APIOptions = explained }),
		prefix:  prefix, clock: time.Now,
	}
}

// queueOf names the queue that a call is about.
func queueOf(input any, prefix string) string {
	var name *string
	switch in := input.(type) {
	case *sdk.GetQueueUrlInput:
		name = in.QueueName
	case *sdk.SendMessageInput:
		name = in.QueueUrl
	case *sdk.ReceiveMessageInput:
		name = in.QueueUrl
	case *sdk.ChangeMessageVisibilityInput:
		name = in.QueueUrl
	case *sdk.DeleteMessageInput:
		name = in.QueueUrl
	case *sdk.GetQueueAttributesInput:
		name = in.QueueUrl
	case *cloudwatch.GetMetricStatisticsInput:
		return "CloudWatch's metrics of the queues " + prefix + "-*"
	}
	if name == nil {
		return "queues " + prefix + "-*"
	}
	return "queue " + path.Base(*name)
}

// Close implements queue.Queue.
func (q *Queue) Close() error { return nil }

// name is a queue's name on SQS.
func (q *Queue) name(step string) string { return q.prefix + "-" + step }

func (q *Queue) url(ctx context.Context, step string) (*string, error) {
	name := q.name(step)
	if url, ok := q.urls.Load(name); ok {
		return url.(*string), nil
	}
	out, err := q.client.GetQueueUrl(ctx, &sdk.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return nil, fmt.Errorf("looking for queue %s: %w", name, err)
	}
	q.urls.Store(name, out.QueueUrl)
	return out.QueueUrl, nil
}

// seconds rounds up: SQS knows no parts of seconds.
func seconds(d time.Duration) int32 { return int32((max(d, 0) + time.Second - 1) / time.Second) }

// Send implements queue.Queue. A delay is at most MaxDelay.
func (q *Queue) Send(ctx context.Context, m queue.Message, delay time.Duration) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(body) > queue.MaxMessageBytes {
		return fmt.Errorf("message for request %d: %w", m.RequestID, queue.ErrMessageTooLarge)
	}
	if delay > MaxDelay {
		return fmt.Errorf("sending to queue %s: a delay of %s is longer than SQS's %s", m.Step, delay, MaxDelay)
	}
	url, err := q.url(ctx, m.Step)
	if err != nil {
		return err
	}
	_, err = q.client.SendMessage(ctx, &sdk.SendMessageInput{QueueUrl: url, MessageBody: aws.String(string(body)), DelaySeconds: seconds(delay)})
	if err != nil {
		return fmt.Errorf("sending to queue %s: %w", m.Step, err)
	}
	return nil
}

// Receive implements queue.Queue. It waits for a second at least: a shorter poll asks only some of SQS's
// servers.
func (q *Queue) Receive(ctx context.Context, step string, visibility, wait time.Duration) (queue.Delivery, error) {
	deadline := time.Now().Add(max(wait, time.Second))
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return queue.Delivery{}, queue.ErrEmpty
		}
		list, err := q.take(ctx, step, visibility, min(left, longestWait), 1)
		if err != nil {
			return queue.Delivery{}, err
		}
		if len(list) > 0 {
			return list[0], nil
		}
	}
}

// take receives up to n messages of a queue.
func (q *Queue) take(ctx context.Context, step string, visibility, wait time.Duration, n int) ([]queue.Delivery, error) {
	url, err := q.url(ctx, step)
	if err != nil {
		return nil, err
	}
	out, err := q.client.ReceiveMessage(ctx, &sdk.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: int32(n), VisibilityTimeout: max(seconds(visibility), 1), WaitTimeSeconds: seconds(wait),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameSentTimestamp,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("receiving from queue %s: %w", step, err)
	}
	var list []queue.Delivery
	var damaged error
	for _, m := range out.Messages {
		d, err := Decode(aws.ToString(m.Body), aws.ToString(m.ReceiptHandle), m.Attributes)
		if err != nil {
			// Left to be received too often, or to the end of its retention.
			damaged = fmt.Errorf("receiving from queue %s: message %s: %w", step, aws.ToString(m.MessageId), err)
			continue
		}
		list = append(list, d)
	}
	if len(list) == 0 {
		return nil, damaged
	}
	return list, nil
}

// Decode makes a delivery of a message as SQS gives it, to a receiver or in an event of Lambda: attributes are
// the system's, "ApproximateReceiveCount" and "SentTimestamp" among them.
func Decode(body, receipt string, attributes map[string]string) (queue.Delivery, error) {
	d := queue.Delivery{Receipt: receipt}
	if err := json.Unmarshal([]byte(body), &d.Message); err != nil {
		return d, fmt.Errorf("it is not one of ours: %w", err)
	}
	if d.Step == "" {
		return d, errors.New("it is not one of ours: it names no step")
	}
	var err error
	if d.ReceiveCount, err = strconv.Atoi(attributes["ApproximateReceiveCount"]); err != nil {
		return d, fmt.Errorf("its receive count: %w", err)
	}
	ms, err := strconv.ParseInt(attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return d, fmt.Errorf("when it was sent: %w", err)
	}
	d.SentAt = time.UnixMilli(ms).UTC()
	return d, nil
}

// home is the queue that a delivery came from, and its receipt there.
func (q *Queue) home(ctx context.Context, d queue.Delivery) (url *string, receipt *string, err error) {
	step := d.Step
	handle, dead := strings.CutPrefix(d.Receipt, deadReceipt)
	if dead {
		step = DeadLetter
	}
	url, err = q.url(ctx, step)
	return url, &handle, err
}

// expired: SQS no longer knows the receipt, or its message is no longer invisible.
func expired(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	code := api.ErrorCode()
	return code == "ReceiptHandleIsInvalid" || strings.HasSuffix(code, "MessageNotInflight") ||
		code == "InvalidParameterValue" && strings.Contains(api.ErrorMessage(), "receipt handle")
}

// Extend implements queue.Queue.
func (q *Queue) Extend(ctx context.Context, d queue.Delivery, visibility time.Duration) error {
	if visibility > MaxVisibility {
		return fmt.Errorf("extending a message of queue %s: %s is longer than SQS's %s", d.Step, visibility, MaxVisibility)
	}
	if d.Receipt == "" {
		return fmt.Errorf("message of queue %s: %w", d.Step, queue.ErrReceiptExpired)
	}
	url, receipt, err := q.home(ctx, d)
	if err != nil {
		return err
	}
	_, err = q.client.ChangeMessageVisibility(ctx, &sdk.ChangeMessageVisibilityInput{
		QueueUrl: url, ReceiptHandle: receipt, VisibilityTimeout: seconds(visibility),
	})
	if expired(err) {
		return fmt.Errorf("message of queue %s: %w: %w", d.Step, queue.ErrReceiptExpired, err)
	}
	if err != nil {
		return fmt.Errorf("extending a message of queue %s: %w", d.Step, err)
	}
	return nil
}

// Ack implements queue.Queue.
func (q *Queue) Ack(ctx context.Context, d queue.Delivery) error {
	if d.Receipt == "" {
		return nil
	}
	url, receipt, err := q.home(ctx, d)
	if err != nil {
		return err
	}
	_, err = q.client.DeleteMessage(ctx, &sdk.DeleteMessageInput{QueueUrl: url, ReceiptHandle: receipt})
	if err != nil && !expired(err) {
		return fmt.Errorf("acknowledging a message of queue %s: %w", d.Step, err)
	}
	return nil
}

// DeadLetters implements queue.Queue. It ends at the first call that brings nothing.
func (q *Queue) DeadLetters(ctx context.Context, visibility time.Duration, limit int) ([]queue.Delivery, error) {
	var list []queue.Delivery
	for len(list) < limit {
		some, err := q.take(ctx, DeadLetter, visibility, time.Second, min(limit-len(list), receivedAtOnce))
		if err != nil && len(list) == 0 {
			return nil, err
		}
		if err != nil || len(some) == 0 {
			break // what was received is not lost: the error comes again
		}
		for _, d := range some {
			d.Receipt = deadReceipt + d.Receipt
			list = append(list, d)
		}
	}
	return list, nil
}
