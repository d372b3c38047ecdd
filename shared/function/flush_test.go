package function

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

func TestFlushedAtTheEndOfEachInvocation(t *testing.T) {
	var order []string
	handler := Flushed(func(context.Context) { order = append(order, "flush") }, func(_ context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
		order = append(order, "work")
		switch len(e.Records) {
		case 1:
			return events.SQSEventResponse{}, errors.New("trouble")
		case 2:
			panic("a bug")
		}
		return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}, nil
	})
	answer, err := handler.Invoke(t.Context(), []byte(`{"Records": []}`))
	if err != nil || string(answer) != `{"batchItemFailures":[]}` {
		t.Errorf("got %s, %v", answer, err)
	}
	if _, err := handler.Invoke(t.Context(), []byte(`{"Records": [{}]}`)); err == nil || err.Error() != "trouble" {
		t.Errorf("got %v, want the handler's error", err)
	}
	func() {
		defer func() {
			if p := recover(); p != "a bug" {
				t.Errorf("got panic %v", p)
			}
		}()
		_, _ = handler.Invoke(t.Context(), []byte(`{"Records": [{}, {}]}`))
	}()
	want := []string{"work", "flush", "work", "flush", "work", "flush"}
	if len(order) != len(want) {
		t.Fatalf("got %v, want %v", order, want)
	}
	for i := range want {
		if order[i] != want[i] {
			t.Fatalf("got %v, want %v", order, want)
		}
	}
}
