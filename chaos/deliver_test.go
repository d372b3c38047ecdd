package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sqssdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/cachito-serverless/cachito/shared/pipeline"
	"github.com/cachito-serverless/cachito/shared/queue"
)

// How messages are disturbed: 1 of so many.
const (
	loseEvery  = 30 // is lost when it is delivered for the first time
	holdEvery  = 3  // is overtaken by others
	twiceEvery = 8  // is delivered twice at the same time
	againEvery = 8  // is delivered again later, after it was acknowledged
	cutEvery   = 40 // its function loses the network, and so its time
	holdMost   = 1500 * time.Millisecond
	againMost  = 3 * time.Second
	// killUpTo is the receive up to which processes are killed at random: of two later ones the outage may take
	// one, and the other must be able to finish.
	killUpTo = queue.MaxReceives - 2
	// killWithin calls or this time a process is killed.
	killCalls  = 45
	killWithin = 1500 * time.Millisecond
)

// source is what Lambda calls an event source mapping: it takes messages of a queue to a function.
type source struct {
	w    *world
	step string
	fn   *function
	// slots are how many run at once, besides what is delivered again.
	slots chan struct{}
	wg    sync.WaitGroup
}

// run receives until ctx ends, then waits for what is under way. A message is received when there is a slot for
// it: what waits would lose its visibility.
func (s *source) run(ctx context.Context) {
	defer s.wg.Wait()
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		m, ok := s.receive(ctx)
		if !ok {
			<-s.slots
			continue
		}
		s.wg.Go(func() {
			defer func() { <-s.slots }()
			s.deliver(ctx, m)
		})
	}
}

func (s *source) receive(ctx context.Context) (types.Message, bool) {
	out, err := s.w.stack.sqs.ReceiveMessage(ctx, &sqssdk.ReceiveMessageInput{
		QueueUrl: aws.String(s.w.stack.queues[s.step]), MaxNumberOfMessages: 1, WaitTimeSeconds: 1,
		VisibilityTimeout:           int32((s.fn.timeout + visibilityMargin) / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		if ctx.Err() == nil {
			s.w.t.Errorf("receiving from queue %s: %v", s.step, err)
			pause(ctx, time.Second)
		}
		return types.Message{}, false
	}
	if len(out.Messages) == 0 {
		return types.Message{}, false
	}
	return out.Messages[0], true
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// deliver takes one message to the function, with what chance has in store for it.
func (s *source) deliver(ctx context.Context, m types.Message) {
	var msg queue.Message
	if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &msg); err != nil {
		s.w.t.Errorf("message %s: %v", aws.ToString(m.Body), err)
		return
	}
	receives := 0
	fmt.Sscan(m.Attributes["ApproximateReceiveCount"], &receives)
	kind := s.w.kindOf(ctx, msg.RequestID)
	random := s.w.dice("delivery", msg.RequestID, msg.Step, s.w.delivery(msg))
	if random.IntN(loseEvery) == 0 && receives == 1 && kind == ordinary && s.w.chaos() {
		s.w.count("messages lost")
		s.delete(m)
		return
	}
	if random.IntN(holdEvery) == 0 {
		s.w.count("messages overtaken")
		pause(ctx, time.Duration(random.Int64N(int64(holdMost))))
	}
	twice, again := random.IntN(twiceEvery) == 0, random.IntN(againEvery) == 0
	doomed := msg.Step == "resolve-npm" && (kind == poisoned || kind == outlived && s.isDoomed(m))
	if doomed { // no other delivery may do what this one must not
		twice, again = false, false
	}
	f := s.fate(msg, kind, receives, doomed, random)
	event := s.event(m)
	var twin sync.WaitGroup
	if twice {
		s.w.count("messages delivered twice at once")
		twin.Go(func() { s.invoke(ctx, msg, event, fate{}) })
	}
	ending, answer := s.invoke(ctx, msg, event, f)
	twin.Wait()
	switch {
	case ending == answered && !hasFailed(answer):
		s.delete(m)
	case ending == killed || ending == timedOut:
		s.soon(m)
	}
	if again {
		s.w.count("messages delivered again later")
		after := time.Duration(random.Int64N(int64(againMost)))
		s.wg.Go(func() {
			pause(ctx, after)
			s.invoke(ctx, msg, event, fate{})
		})
	}
}

// isDoomed reports whether it is the first message that came for the step of the outlived request; then it
// sends another one.
func (s *source) isDoomed(m types.Message) bool {
	id := aws.ToString(m.MessageId)
	s.w.mu.Lock()
	first := s.w.doomed == ""
	if first {
		s.w.doomed = id
	}
	doomed := s.w.doomed == id
	s.w.mu.Unlock()
	if first {
		_, err := s.w.stack.sqs.SendMessage(context.Background(), &sqssdk.SendMessageInput{
			QueueUrl: aws.String(s.w.stack.queues[s.step]), MessageBody: m.Body, DelaySeconds: 5,
		})
		if err != nil {
			s.w.t.Errorf("sending to queue %s: %v", s.step, err)
		}
	}
	return doomed
}

// fate decides how the process of a delivery ends.
func (s *source) fate(msg queue.Message, kind string, receives int, doomed bool, random *rand.Rand) fate {
	byCall := fate{killAt: 1 + random.IntN(killCalls), afterCall: random.IntN(2) == 0}
	byTime := fate{killAfter: 1 + time.Duration(random.Int64N(int64(killWithin)))}
	cut := random.IntN(cutEvery) == 0
	choice := random.IntN(10)
	switch {
	case doomed:
		byCall.killAt = 1 + byCall.killAt%4 // before it could be done
		return byCall
	case kind != ordinary || receives > killUpTo || !s.w.chaos():
		return fate{}
	case msg.Step == pipeline.StepSource && choice > 0: // seldom: it is not what is counted
		return fate{}
	case cut:
		return fate{cutOffAt: byCall.killAt}
	case choice < 5:
		return byCall
	case choice < 8:
		return byTime
	}
	return fate{}
}

// invoke runs the function.
func (s *source) invoke(ctx context.Context, msg queue.Message, body []byte, f fate) (string, []byte) {
	ending, answer, err := s.fn.invoke(ctx, event{body, f})
	if err != nil {
		s.w.t.Errorf("function %s: %v", s.fn.name, err)
		return "", nil
	}
	s.w.count("invocations " + ending)
	switch {
	case ending == killed && msg.Step != pipeline.StepSource && s.w.kindOf(ctx, msg.RequestID) == ordinary:
		s.w.kills.Add(1)
	case ending == crashed || ending == faulted:
		s.w.t.Errorf("function %s, step %s of request %d: %s: %s", s.fn.name, msg.Step, msg.RequestID, ending, answer)
	}
	return ending, answer
}

// soon makes the message of a process that died visible again before its time, or the test would do little
// but wait.
func (s *source) soon(m types.Message) {
	_, err := s.w.stack.sqs.ChangeMessageVisibility(context.Background(), &sqssdk.ChangeMessageVisibilityInput{
		QueueUrl: aws.String(s.w.stack.queues[s.step]), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 1,
	})
	var answer smithy.APIError
	if err != nil && !errors.As(err, &answer) { // else another delivery has acknowledged it
		s.w.t.Errorf("changing the visibility of a message of queue %s: %v", s.step, err)
	}
}

func (s *source) delete(m types.Message) {
	// The function has acknowledged it, too; and its visibility may be over.
	_, err := s.w.stack.sqs.DeleteMessage(context.Background(), &sqssdk.DeleteMessageInput{
		QueueUrl: aws.String(s.w.stack.queues[s.step]), ReceiptHandle: m.ReceiptHandle,
	})
	var answer smithy.APIError
	if err != nil && !errors.As(err, &answer) {
		s.w.t.Errorf("deleting a message of queue %s: %v", s.step, err)
	}
}

// event is what Lambda gives to a function for one message.
func (s *source) event(m types.Message) []byte {
	raw, err := json.Marshal(map[string]any{"Records": []map[string]any{{
		"messageId": m.MessageId, "receiptHandle": m.ReceiptHandle, "body": m.Body, "attributes": m.Attributes,
		"messageAttributes": map[string]any{}, "md5OfBody": m.MD5OfBody, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
		"eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:" + s.w.stack.name + "-" + s.step,
	}}})
	if err != nil {
		panic(err)
	}
	return raw
}

// hasFailed reports whether the function names its message among the failed ones.
func hasFailed(answer []byte) bool {
	var r struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	return json.Unmarshal(answer, &r) != nil || len(r.Failures) > 0
}
