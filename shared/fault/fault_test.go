package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/cachito-serverless/cachito/shared/fault"
)

func TestFault(t *testing.T) {
	client := fault.Client(fault.InvalidChecksum, "%s: expected %d, got %d", "a.zip", 1, 2)
	server := fault.Server(fault.NetworkError, "registry answers 503")
	final := fault.ServerFinal(fault.GoModError, "go is too old")
	for _, test := range []struct {
		name              string
		err               error
		origin            fault.Origin
		kind              fault.Type
		message           string
		isClient, mayPass bool
	}{
		{"client", client, fault.OriginClient, fault.InvalidChecksum, "a.zip: expected 1, got 2", true, false},
		{"client, wrapped twice", fmt.Errorf("b: %w", fmt.Errorf("a: %w", client)), fault.OriginClient, fault.InvalidChecksum, "a.zip: expected 1, got 2", true, false},
		{"client, joined with others", errors.Join(io.EOF, client), fault.OriginClient, fault.InvalidChecksum, "a.zip: expected 1, got 2", true, false},
		{"server", fmt.Errorf("a: %w", server), fault.OriginServer, fault.NetworkError, "registry answers 503", false, true},
		{"server, final", fmt.Errorf("a: %w", final), fault.OriginServer, fault.GoModError, "go is too old", false, false},
		{"a bug", fmt.Errorf("reading /var/secret: %w", io.ErrUnexpectedEOF), fault.OriginServer, fault.UnknownError, "An unknown error occurred", false, true},
		{"interrupted", fmt.Errorf("a: %w", context.Canceled), fault.OriginServer, fault.UnknownError, "An unknown error occurred", false, true},
		{
			"interrupted in the midst of a final fault", fault.ServerFinal(fault.GoModError, "go was killed").Because(context.Canceled),
			fault.OriginServer, fault.GoModError, "go was killed", false, true,
		},
		{"out of time", context.DeadlineExceeded, fault.OriginServer, fault.UnknownError, "An unknown error occurred", false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := fault.From(test.err)
			if f.Origin != test.origin || f.Type != test.kind || f.Message != test.message || f.Error() != test.message {
				t.Errorf("From gives %+v, want %s %s %q", f, test.origin, test.kind, test.message)
			}
			if got := fault.IsClient(test.err); got != test.isClient {
				t.Errorf("IsClient = %v, want %v", got, test.isClient)
			}
			if got := fault.MayPass(test.err); got != test.mayPass {
				t.Errorf("MayPass = %v, want %v", got, test.mayPass)
			}
		})
	}
	t.Run("no error", func(t *testing.T) {
		if fault.From(nil) != nil || fault.IsClient(nil) || fault.MayPass(nil) {
			t.Error("nil is taken for a fault")
		}
	})
}

func TestCauses(t *testing.T) {
	t.Run("Because is for errors.Is and never in the text", func(t *testing.T) {
		f := fault.Server(fault.DatabaseError, "the store is busy").Because(io.ErrClosedPipe)
		if !errors.Is(fmt.Errorf("a: %w", f), io.ErrClosedPipe) || f.Error() != "the store is busy" {
			t.Errorf("got %q, cause %v", f, f.Unwrap())
		}
	})
	t.Run("an unknown error keeps its cause for the log", func(t *testing.T) {
		if f := fault.From(io.ErrClosedPipe); !errors.Is(f, io.ErrClosedPipe) || f.Error() != fault.UnknownMessage {
			t.Errorf("got %q, cause %v", f, f.Unwrap())
		}
	})
	t.Run("without a cause there is none", func(t *testing.T) {
		if cause := fault.Client(fault.ValidationError, "x").Unwrap(); cause != nil {
			t.Errorf("got %v", cause)
		}
	})
}
