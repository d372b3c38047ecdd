package awsclient

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"

	"github.com/cachito-serverless/cachito/shared/fault"
)

var errBusy = errors.New("busy")

// answers is a network on which every call has the same end.
type answers struct {
	status int // 0: none
	code   string
}

// RoundTrip implements http.RoundTripper.
func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.status == 0 {
		return nil, &url.Error{Op: "Post", URL: r.URL.String(), Err: io.ErrUnexpectedEOF}
	}
	return &http.Response{
		StatusCode: a.status, Request: r, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(`{"__type":"com.amazonaws#` + a.code + `","message":"as the service says it"}`)),
	}, nil
}

func explained(a answers) *sqs.Client {
	return sqs.New(sqs.Options{
		Region: "us-east-1", HTTPClient: &http.Client{Transport: a}, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
		APIOptions: append([]func(*middleware.Stack) error(nil), Explain(Resource{
			Name:     func(input any) string { return "queue " + *input.(*sqs.SendMessageInput).QueueUrl },
			Settings: "CACHITO_QUEUE_PREFIX", Busy: errBusy, Type: fault.MessageBrokerError, Sentence: "The queues do not work.",
		})),
	})
}

func TestExplain(t *testing.T) {
	send := func(ctx context.Context, a answers) error {
		_, err := explained(a).SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String("q"), MessageBody: aws.String("x")})
		return err
	}
	for _, c := range []struct {
		name   string
		answer answers
		want   string
		busy   bool
	}{
		{"no permission", answers{400, "AccessDeniedException"}, "compare its policy with template.yaml", false},
		{"no permission for the key", answers{400, "KmsAccessDenied"}, "compare its policy with template.yaml", false},
		{"credentials have expired", answers{403, "ExpiredToken"}, "credentials are not valid", false},
		{"gone", answers{400, "QueueDoesNotExist"}, "is it what CACHITO_QUEUE_PREFIX names?", false},
		{"throttled", answers{403, "RequestThrottled"}, "raise the quota", true},
		{"full", answers{403, "OverLimit"}, "120,000", false},
		{"in trouble", answers{500, "InternalFailure"}, "AWS Health Dashboard", true},
		{"in trouble of a kind that is new", answers{503, "SomethingElse"}, "AWS Health Dashboard", true},
		{"no answer", answers{}, "look at the network of this function", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := send(t.Context(), c.answer)
			var trouble *TroubleError
			if !errors.As(err, &trouble) {
				t.Fatalf("got %v, want trouble", err)
			}
			for _, part := range []string{"queue q: ", c.answer.code, c.want} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q, want %q in it", err, part)
				}
			}
			if errors.Is(err, errBusy) != c.busy {
				t.Errorf("busy: got %v, want %v", !c.busy, c.busy)
			}
			f := fault.From(err)
			if f.Type != fault.MessageBrokerError || f.Message != "The queues do not work." || f.Final || f.Origin != fault.OriginServer {
				t.Errorf("got fault %+v, want one of ours that may pass, with the resource's sentence", f)
			}
		})
	}
	t.Run("an answer that the caller understands is none", func(t *testing.T) {
		var trouble *TroubleError
		if err := send(t.Context(), answers{400, "ReceiptHandleIsInvalid"}); err == nil || errors.As(err, &trouble) {
			t.Errorf("got %v, want SQS's own error", err)
		}
	})
	t.Run("a caller that went away is none", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var trouble *TroubleError
		if err := send(ctx, answers{}); !errors.Is(err, context.Canceled) || errors.As(err, &trouble) {
			t.Errorf("got %v, want context.Canceled alone", err)
		}
	})
}
