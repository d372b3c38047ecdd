package sqs

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
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	metrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/awsclient/awsclienttest"
	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/queue/queuetest"
)

func config(t testing.TB, transport http.RoundTripper) aws.Config {
	return awsclienttest.Config(awsclienttest.Endpoint(t, "AWS_ENDPOINT_URL"), "test", "test", transport)
}

// open makes queues as template.yaml does, which are gone after the test.
func open(t *testing.T, transport http.RoundTripper) *Queue {
	t.Helper()
	sure := New(config(t, nil), "cachito-"+rand.Text())
	create := func(step string, attributes map[string]string) {
		t.Helper()
		out, err := sure.client.CreateQueue(t.Context(), &sdk.CreateQueueInput{QueueName: aws.String(sure.name(step)), Attributes: attributes})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := sure.client.DeleteQueue(context.Background(), &sdk.DeleteQueueInput{QueueUrl: out.QueueUrl}); err != nil {
				t.Errorf("deleting queue %s: %v", step, err)
			}
		})
	}
	create(DeadLetter, nil)
	arn := sure.arn(t, DeadLetter)
	redrive, err := json.Marshal(map[string]string{"deadLetterTargetArn": arn, "maxReceiveCount": strconv.Itoa(queue.MaxReceives)})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"source", "resolve-gomod", "bundle"} {
		create(step, map[string]string{"RedrivePolicy": string(redrive)})
	}
	return New(config(t, transport), sure.prefix)
}

func (q *Queue) arn(t *testing.T, step string) string {
	t.Helper()
	url, err := q.url(t.Context(), step)
	if err != nil {
		t.Fatal(err)
	}
	out, err := q.client.GetQueueAttributes(t.Context(), &sdk.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Attributes["QueueArn"]
}

func TestQueue(t *testing.T) {
	queuetest.RunRealTime(t, queuetest.RealTime{LateExtend: true}, func(t *testing.T) queue.Queue { return open(t, nil) })
}

func operation(r *http.Request) string {
	_, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return name
}

// TestQueueLosesAnswers: with every fifth answer lost, each message is delivered, at least once, and what was
// acknowledged does not come again.
func TestQueueLosesAnswers(t *testing.T) {
	l := &awsclienttest.Losing{Base: awsclienttest.Transport(), Lose: awsclienttest.EveryFifth, Operation: operation}
	q := open(t, l)
	const messages = 40
	for id := range int64(messages) {
		if err := q.Send(t.Context(), queue.Message{RequestID: id, Step: "source"}, 0); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[int64]int{}
	for idle := 0; idle < 3; {
		d, err := q.Receive(t.Context(), "source", time.Second, time.Second)
		if errors.Is(err, queue.ErrEmpty) {
			idle++ // what was taken by a lost answer becomes visible after its second
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		idle = 0
		seen[d.RequestID]++
		if err := q.Extend(t.Context(), d, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := q.Ack(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for id := range int64(messages) {
		if seen[id] == 0 {
			t.Errorf("message %d was lost", id)
		}
	}
	if len(seen) != messages {
		t.Errorf("%d messages were delivered, %d sent", len(seen), messages)
	}
	for _, name := range []string{"SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"} {
		if l.Lost(name) == 0 {
			t.Errorf("no answer of %s was lost: the test tests nothing", name)
		}
	}
	if age, err := q.OldestAge(t.Context(), "source"); err != nil || age != 0 {
		t.Errorf("OldestAge of the empty queue: got %s, %v", age, err)
	}
	if dead, err := q.DeadLetters(t.Context(), time.Second, 10); err != nil || len(dead) > 0 {
		t.Errorf("dead letters: got %v, %v", dead, err)
	}
}

// TestOldestAge: the age is CloudWatch's metric, grown by the time since; asked for only when there are messages.
func TestOldestAge(t *testing.T) {
	l := &awsclienttest.Losing{Base: awsclienttest.Transport(), Operation: func(r *http.Request) string {
		if strings.Contains(r.Header.Get("Authorization"), "/monitoring/") {
			return "CloudWatch"
		}
		return operation(r)
	}}
	q := open(t, l)
	age := func(t *testing.T) time.Duration {
		t.Helper()
		got, err := q.OldestAge(t.Context(), "source")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := age(t); got != 0 || l.Calls("CloudWatch") != 0 {
		t.Errorf("empty: got %s with %d calls of CloudWatch, want neither", got, l.Calls("CloudWatch"))
	}
	if err := q.Send(t.Context(), queue.Message{RequestID: 1, Step: "source"}, 0); err != nil {
		t.Fatal(err)
	}
	if got := age(t); got != Unmeasured {
		t.Errorf("without a metric: got %s, want %s", got, Unmeasured)
	}
	now := time.Now().Truncate(time.Minute)
	for ago, value := range map[time.Duration]float64{4 * time.Minute: 9000, 2 * time.Minute: 600, time.Hour: 99999} {
		_, err := q.metrics.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{
			Namespace: aws.String("AWS/SQS"),
			MetricData: []metrics.MetricDatum{{
				MetricName: aws.String("ApproximateAgeOfOldestMessage"), Timestamp: aws.Time(now.Add(-ago)), Value: &value,
				Dimensions: []metrics.Dimension{{Name: aws.String("QueueName"), Value: aws.String(q.name("source"))}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := age(t); got < 11*time.Minute || got > 16*time.Minute {
		t.Errorf("with a metric of 600 s two minutes ago: got %s, want some 12 minutes", got)
	}
}

func TestLimits(t *testing.T) {
	q := open(t, nil)
	if err := q.Send(t.Context(), queue.Message{RequestID: 1, Step: "source"}, MaxDelay+1); err == nil || !strings.Contains(err.Error(), "15m") {
		t.Errorf("a long delay: got %v", err)
	}
	if err := q.Extend(t.Context(), queue.Delivery{Message: queue.Message{Step: "source"}, Receipt: "x"}, MaxVisibility+1); err == nil || !strings.Contains(err.Error(), "12h") {
		t.Errorf("a long timeout: got %v", err)
	}
	if err := q.Send(t.Context(), queue.Message{RequestID: 1, Step: "resolve-cobol"}, 0); err == nil || !strings.Contains(err.Error(), q.name("resolve-cobol")) {
		t.Errorf("a queue that is not there: got %v, want its name", err)
	}
	url, err := q.url(t.Context(), "source")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.client.SendMessage(t.Context(), &sdk.SendMessageInput{QueueUrl: url, MessageBody: aws.String(`{"other":1}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Receive(t.Context(), "source", time.Minute, 0); err == nil || !strings.Contains(err.Error(), "not one of ours") {
		t.Errorf("a foreign message: got %v", err)
	}
}

// TestMessage: what the functions find in an event is what Send sends.
func TestMessage(t *testing.T) {
	q := open(t, nil)
	if err := q.Send(t.Context(), queue.Message{RequestID: 7, Step: "bundle"}, 0); err != nil {
		t.Fatal(err)
	}
	url, err := q.url(t.Context(), "bundle")
	if err != nil {
		t.Fatal(err)
	}
	out, err := q.client.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("got %v, %v", out, err)
	}
	if diff := cmp.Diff(`{"request_id":7,"step":"bundle"}`, *out.Messages[0].Body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}
