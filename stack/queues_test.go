package stack_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/queue"
	"github.com/cachito-serverless/cachito/shared/queue/sqs"
	"github.com/cachito-serverless/cachito/shared/store/dynamodb"
)

// countWord counts where word ends at something else than a letter or digit.
func countWord(content, word string) int {
	return len(regexp.MustCompile(regexp.QuoteMeta(word)+`([^A-Za-z0-9]|$)`).FindAllString(content, -1))
}

// visibilityMargin is how much longer than its function's time a message is invisible: a function that was ended
// must be gone before another takes its message.
const visibilityMargin = 60

func TestQueuesAndTheirFunctions(t *testing.T) {
	tpl := readTemplate(t)
	queues := tpl.of("AWS::SQS::Queue")
	consumed := map[string]bool{}
	for id, f := range tpl.of("AWS::Serverless::Function") {
		for _, e := range object(f.properties["Events"]) {
			event := object(e)
			if text(event["Type"]) != "SQS" {
				continue
			}
			p := object(event["Properties"])
			queueID := strings.TrimSuffix(named(p["Queue"]), ".Arn")
			t.Run(id, func(t *testing.T) {
				q, ok := queues[queueID]
				if !ok {
					t.Fatalf("the event source %s is no queue", queueID)
				}
				consumed[queueID] = true
				if got, want := named(q.properties["QueueName"]), named(f.properties["FunctionName"]); got != want {
					t.Errorf("the queue's name: got %s, want that of its function, %s", got, want)
				}
				if got, want := tpl.number(t, q.properties["VisibilityTimeout"]), tpl.number(t, f.properties["Timeout"])+visibilityMargin; got != want {
					t.Errorf("VisibilityTimeout: got %d, want %d, the function's time-out and %d", got, want, visibilityMargin)
				}
				if got := tpl.number(t, p["BatchSize"]); got != 1 {
					t.Errorf("BatchSize: got %d, want 1", got)
				}
				if diff := cmp.Diff([]value{"ReportBatchItemFailures"}, list(p["FunctionResponseTypes"])); diff != "" {
					t.Errorf("FunctionResponseTypes (-want +got):\n%s", diff)
				}
				if !strings.Contains(named(p["ScalingConfig"]), "MaximumConcurrency") {
					t.Error("no MaximumConcurrency: one queue could use up the account's concurrency")
				}
			})
		}
	}
	for id, q := range queues {
		if text(q.properties["SqsManagedSseEnabled"]) != "true" {
			t.Errorf("%s is not encrypted", id)
		}
		if id == "DeadLetterQueue" {
			if got, want := named(q.properties["QueueName"]), "stack-"+sqs.DeadLetter; got != want {
				t.Errorf("dead letters: got %s, want %s", got, want)
			}
			continue
		}
		if !consumed[id] {
			t.Errorf("%s has no function", id)
		}
		redrive := object(q.properties["RedrivePolicy"])
		if got := tpl.number(t, redrive["maxReceiveCount"]); got != queue.MaxReceives {
			t.Errorf("%s: maxReceiveCount: got %d, want %d", id, got, queue.MaxReceives)
		}
		if got, want := named(redrive["deadLetterTargetArn"]), "DeadLetterQueue.Arn"; got != want {
			t.Errorf("%s: dead letters: got %s, want %s", id, got, want)
		}
		// Otherwise letters would be deleted on their arrival: they keep the time at which they were sent.
		if kept, dead := tpl.number(t, q.properties["MessageRetentionPeriod"]), tpl.number(t, queues["DeadLetterQueue"].properties["MessageRetentionPeriod"]); kept >= dead {
			t.Errorf("%s keeps messages for %d s, want less than the dead letters' %d", id, kept, dead)
		}
	}
}

// The table of production is the one that the adapter's tests use.
func TestTable(t *testing.T) {
	p := readTemplate(t).resources["Table"].properties
	want := dynamodb.Table("any")
	var keys, attributes []string
	for _, k := range want.KeySchema {
		keys = append(keys, *k.AttributeName+" "+string(k.KeyType))
	}
	for _, a := range want.AttributeDefinitions {
		attributes = append(attributes, *a.AttributeName+" "+string(a.AttributeType))
	}
	pairs := func(v value, kind string) (all []string) {
		for _, item := range list(v) {
			all = append(all, text(object(item)["AttributeName"])+" "+text(object(item)[kind]))
		}
		return all
	}
	if diff := cmp.Diff(keys, pairs(p["KeySchema"], "KeyType")); diff != "" {
		t.Errorf("KeySchema (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(attributes, pairs(p["AttributeDefinitions"], "AttributeType")); diff != "" {
		t.Errorf("AttributeDefinitions (-want +got):\n%s", diff)
	}
	if got, want := text(p["BillingMode"]), string(want.BillingMode); got != want {
		t.Errorf("BillingMode: got %s, want %s", got, want)
	}
	if text(object(p["PointInTimeRecoverySpecification"])["PointInTimeRecoveryEnabled"]) != "true" {
		t.Error("point-in-time recovery is off")
	}
}
