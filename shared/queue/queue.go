// Package queue is the port to the queues that drive the pipeline: one queue per step name
// ("source", "resolve-gomod", "bundle") and one dead-letter queue behind them all. Messages hold a
// request's id and the step, nothing else; everything a worker needs is in the store.
//
// Delivery is at least once, in any order. Every adapter passes queuetest.Run.
package queue

import (
	"context"
	"errors"
	"time"
)

// ErrEmpty: nothing to receive within the wait.
var ErrEmpty = errors.New("queue is empty")

// ErrReceiptExpired: the delivery's visibility timeout is over, someone else may have it.
var ErrReceiptExpired = errors.New("receipt has expired")

// ErrMessageTooLarge: the encoded message exceeds MaxMessageBytes.
var ErrMessageTooLarge = errors.New("message exceeds 1 MiB")

// ErrBusy: the queues do not answer, or not now; the same call may succeed later.
var ErrBusy = errors.New("the queues are busy, please try again later")

// Limits that every adapter enforces.
const (
	// MaxMessageBytes is SQS's limit for one message.
	MaxMessageBytes = 1 << 20
	// MaxReceives is how often a message is delivered before it goes to the dead-letter queue.
	MaxReceives = 5
)

// Message asks for one step of one request.
type Message struct {
	RequestID int64  `json:"request_id"`
	Step      string `json:"step"`
}

// Delivery is a received message. It is invisible to others until its visibility timeout is over.
type Delivery struct {
	Message
	// ReceiveCount is 1 the first time.
	ReceiveCount int
	// Receipt identifies this delivery.
	Receipt string
	SentAt  time.Time
}

// Last reports whether a failure of this delivery sends the message to the dead letters.
func (d Delivery) Last() bool { return d.ReceiveCount >= MaxReceives }

// Queue sends and receives messages. All methods may be called concurrently.
type Queue interface {
	// Send puts m into the queue named m.Step, visible after delay.
	Send(ctx context.Context, m Message, delay time.Duration) error

	// Receive takes the oldest visible message out of the queue for the visibility timeout. It
	// waits up to wait for one, then returns ErrEmpty. A message received MaxReceives times
	// without an Ack is moved to the dead letters instead of being delivered again.
	Receive(ctx context.Context, queue string, visibility, wait time.Duration) (Delivery, error)

	// Extend moves the end of the delivery's visibility timeout to now + visibility; zero hands
	// the message back at once. ErrReceiptExpired.
	Extend(ctx context.Context, d Delivery, visibility time.Duration) error

	// Ack removes the message; acknowledging it twice or late is no error, but a late Ack does
	// not remove a message that was delivered again meanwhile.
	Ack(ctx context.Context, d Delivery) error

	// DeadLetters takes up to limit messages out of the dead-letter queue for the visibility
	// timeout; Ack removes them.
	DeadLetters(ctx context.Context, visibility time.Duration, limit int) ([]Delivery, error)

	// OldestAge is how long the oldest message of the queue (visible or not) has been in it; zero
	// when it is empty.
	OldestAge(ctx context.Context, queue string) (time.Duration, error)

	Close() error
}
