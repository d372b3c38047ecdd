package sqs

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	metrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Unmeasured is the age of a queue that holds messages, but whose age CloudWatch does not know yet: after a
// queue was idle, its metrics begin up to 15 minutes late.
const Unmeasured = 15 * time.Minute

// counts are the messages of a queue: visible, delivered, delayed.
var counts = []types.QueueAttributeName{
	types.QueueAttributeNameApproximateNumberOfMessages,
	types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
}

// OldestAge implements queue.Queue. SQS itself tells only how many messages there are; their age is a metric of
// CloudWatch (ApproximateAgeOfOldestMessage), some minutes old, which is asked for only when the queue is not
// empty: an idle deployment pays for no metric. The age that is answered is what the metric has grown to since.
// SQS leaves messages out of it that were received three times and more.
func (q *Queue) OldestAge(ctx context.Context, step string) (time.Duration, error) {
	url, err := q.url(ctx, step)
	if err != nil {
		return 0, err
	}
	out, err := q.client.GetQueueAttributes(ctx, &sdk.GetQueueAttributesInput{QueueUrl: url, AttributeNames: counts})
	if err != nil {
		return 0, fmt.Errorf("reading the attributes of queue %s: %w", step, err)
	}
	total := 0
	for _, name := range counts {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return 0, fmt.Errorf("reading the attributes of queue %s: %s: %w", step, name, err)
		}
		total += n
	}
	if total == 0 {
		return 0, nil
	}
	return q.measured(ctx, step)
}

func (q *Queue) measured(ctx context.Context, step string) (time.Duration, error) {
	now := q.clock()
	out, err := q.metrics.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("AWS/SQS"), MetricName: aws.String("ApproximateAgeOfOldestMessage"),
		Dimensions: []metrics.Dimension{{Name: aws.String("QueueName"), Value: aws.String(q.name(step))}},
		StartTime:  aws.Time(now.Add(-Unmeasured)), EndTime: aws.Time(now.Add(time.Minute)),
		Period: aws.Int32(60), Statistics: []metrics.Statistic{metrics.StatisticMaximum},
	})
	if err != nil {
		return 0, fmt.Errorf("reading the age of queue %s: %w", step, err)
	}
	var newest metrics.Datapoint
	for _, p := range out.Datapoints {
		if p.Timestamp != nil && p.Timestamp.After(aws.ToTime(newest.Timestamp)) {
			newest = p
		}
	}
	if newest.Timestamp == nil {
		return Unmeasured, nil
	}
	age := time.Duration(aws.ToFloat64(newest.Maximum) * float64(time.Second))
	return max(age+now.Sub(*newest.Timestamp), 1), nil
}
